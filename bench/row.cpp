#include "row.hpp"

#include <algorithm>

namespace flexgemm::bench {

namespace {

void add_series(nlohmann::ordered_json& row, const char* key, const std::vector<CallTimes>& rounds,
                std::vector<double> CallTimes::*series) {
  std::vector<double> all;
  std::vector<double> medians;
  for (const CallTimes& round : rounds) {
    const std::vector<double>& samples = round.*series;
    if (samples.empty()) continue;
    all.insert(all.end(), samples.begin(), samples.end());
    medians.push_back(summarize(samples).median);
  }
  if (all.empty()) return;
  row[key] = summary_json(summarize(all));
  const auto [least, most] = std::minmax_element(medians.begin(), medians.end());
  if (medians.size() > 1) row[key]["spread"] = relative_difference(*least, *most);
}

}  // namespace

nlohmann::ordered_json summary_json(const Summary& summary) {
  return {{"median", summary.median},
          {"min", summary.least},
          {"max", summary.most},
          {"samples", summary.samples}};
}

void add_times(nlohmann::ordered_json& row, const std::vector<CallTimes>& rounds) {
  add_series(row, "graph_ms", rounds, &CallTimes::graph_ms);
  add_series(row, "call_ms", rounds, &CallTimes::call_ms);
  add_series(row, "host_us", rounds, &CallTimes::host_us);
  for (const CallTimes& round : rounds) {
    if (round.graph_calls > 0) row["graph_calls"] = round.graph_calls;
    if (round.clock_mhz) row["clock_mhz"] = *round.clock_mhz;
    if (!round.note.empty()) row["note"] = round.note;
  }
}

}  // namespace flexgemm::bench
