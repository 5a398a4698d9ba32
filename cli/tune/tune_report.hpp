#pragma once

#include <string>
#include <vector>

#include "tune/output.hpp"
#include "tune/tune_job.hpp"

namespace flexgemm::tune {

/// The outcomes as a table for people: shape, winner, time, runner-up, gain over the default choice.
std::string tune_table(const TuneJob& job, const std::vector<LayerOutcome>& outcomes);

/// The outcomes as one JSON object. Times are milliseconds; what is not known is null.
Json tune_json(const TuneJob& job, const std::vector<LayerOutcome>& outcomes);

}  // namespace flexgemm::tune
