#pragma once

#include <string>

#include "run/options.hpp"
#include "run/pipeline.hpp"

namespace flexgemm::run {

/// The result as a table for people, several lines.
std::string table(const RunOptions& options, const RunResult& result);

/// The result as one JSON object and a newline. Counts are integers, times milliseconds, and a relative error
/// that is not finite is null.
std::string json(const RunOptions& options, const RunResult& result);

}  // namespace flexgemm::run
