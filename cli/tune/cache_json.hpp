#pragma once

#include <string>
#include <vector>

#include <flexgemm/cache.hpp>

#include "tune/output.hpp"

namespace flexgemm::tune {

Json to_json(const TuningKey& key);
Json to_json(const TuningCandidate& candidate);
/// With all candidates, or with winner and runner-up alone.
Json to_json(const TuningEntry& entry, bool candidates);
Json to_json(const KernelEntry& kernel);
Json to_json(const CacheFinding& finding);
Json to_json(const std::vector<CacheFinding>& findings);
Json to_json(const CacheChange& change);

/// One line: "forward f16 64 -> 64 v27, n 2^16, 12.7 pairs, bias0".
std::string describe(const TuningKey& key);

/// Name of a tuning result: 12 hexadecimal digits made of its key, the same on every machine.
std::string entry_name(const TuningKey& key);

/// "0.123" or "-".
std::string milliseconds(const std::optional<double>& value);

/// Findings as lines for people: path, problem, remedy; empty if there are none.
std::string text_of(const std::vector<CacheFinding>& findings);

}  // namespace flexgemm::tune
