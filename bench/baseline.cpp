#include "baseline.hpp"

#include <fstream>
#include <optional>

#include <fmt/format.h>

#include <flexgemm/dtype.hpp>
#include <flexgemm/error.hpp>

namespace flexgemm::bench {

namespace {

/// row[group][key] where all of it exists and is a positive number.
std::optional<double> time_of(const nlohmann::json& row, const char* group, const std::string& key) {
  const auto found = row.find(group);
  if (found == row.end() || !found->is_object()) return std::nullopt;
  const auto value = found->find(key);
  if (value == found->end() || !value->is_number() || value->get<double>() <= 0) return std::nullopt;
  return value->get<double>();
}

bool same_problem(const nlohmann::json& theirs, const nlohmann::ordered_json& ours) {
  return theirs["voxels"] == ours["voxels"] && theirs["pairs"] == ours["pairs"] &&
         theirs["channels"] == ours["channels"] &&
         parse_dtype(theirs["dtype"].get<std::string>()) == parse_dtype(ours["dtype"].get<std::string>());
}

void add(nlohmann::ordered_json& row, const char* time, const char* ratio, std::optional<double> theirs,
         const char* ours) {
  if (!theirs) return;
  row["baseline"][time] = *theirs;
  if (row.contains(ours) && row[ours]["median"].get<double>() > 0)
    row["baseline"][ratio] = *theirs / row[ours]["median"].get<double>();
}

}  // namespace

Baseline Baseline::read(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Error(ErrorCode::io, fmt::format("the baseline {} cannot be opened", path));
  try {
    const nlohmann::json content = nlohmann::json::parse(file);
    Baseline baseline;
    baseline.system_ = content.value("system", path);
    baseline.rows_ = content.at("rows");
    for (const nlohmann::json& row : baseline.rows_) {
      for (const char* key : {"voxels", "pairs", "channels"}) row.at(key).get<std::int64_t>();
      parse_dtype(row.at("dtype").get<std::string>());
    }
    return baseline;
  } catch (const std::exception& error) {
    throw Error(ErrorCode::io, fmt::format("the baseline {} is not of the schema of bench/baselines: {}",
                                           path, error.what()));
  }
}

void Baseline::add_ratios(nlohmann::ordered_json& row) const {
  const auto op = row["op"].get<std::string>();
  for (const nlohmann::json& theirs : rows_) {
    if (!same_problem(theirs, row)) continue;
    if (op == "map") {
      add(row, "call_ms", "call_ratio", time_of(theirs, "map_ms", "inference"), "call_ms");
    } else if (op.starts_with("net_")) {
      if (theirs.value("layers", 0) == row.value("layers", 0))
        add(row, "call_ms", "call_ratio", time_of(theirs, "net_ms", op.substr(4)), "call_ms");
    } else {
      add(row, "kernel_ms", "kernel_ratio", time_of(theirs, "kernel_ms", op), "graph_ms");
      add(row, "call_ms", "call_ratio", time_of(theirs, "call_ms", op), "call_ms");
    }
    return;
  }
}

}  // namespace flexgemm::bench
