#pragma once

#include <vector>

#include <nlohmann/json.hpp>

#include "measuring_device.hpp"
#include "statistics.hpp"

namespace flexgemm::bench {

/// {"median", "min", "max", "samples"}.
nlohmann::ordered_json summary_json(const Summary& summary);

/// Adds "graph_ms", "call_ms", "host_us", "graph_calls", "clock_mhz" and "note" of a row's rounds, where they
/// exist. The summaries are of all rounds' samples together; their "spread" is the relative difference
/// between the rounds' medians that lie furthest apart.
void add_times(nlohmann::ordered_json& row, const std::vector<CallTimes>& rounds);

}  // namespace flexgemm::bench
