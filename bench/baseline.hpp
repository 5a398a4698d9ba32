#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "scenes.hpp"

namespace flexgemm::bench {

/// Times of another system on the same problems, in the schema of bench/baselines/: an object with "system"
/// and "rows", each with voxels, pairs, channels, dtype, layers, kernel_ms, call_ms, map_ms and net_ms (the
/// last four by pass or use; null where they are unknown).
class Baseline {
 public:
  Baseline() = default;
  /// Throws Error{io} for a file that cannot be read or has no such rows.
  static Baseline read(const std::string& path);

  const std::string& system() const noexcept { return system_; }

  /// Adds "baseline" to a row of results: its times for the same voxels, pairs, channels and type, and how
  /// many times faster this run is ("kernel_ratio", "call_ratio"). No row, no entry.
  void add_ratios(nlohmann::ordered_json& row) const;

 private:
  std::string system_;
  nlohmann::json rows_ = nlohmann::json::array();
};

}  // namespace flexgemm::bench
