#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "baseline.hpp"
#include "measuring_device.hpp"
#include "suite.hpp"

namespace flexgemm::bench {

/// The results of a run as they are written: "format", "device", "machine", "options", "ceilings", "notes",
/// "rows".
nlohmann::ordered_json new_results(const SuiteOptions& options, const std::vector<std::string>& arguments,
                                   MeasuringDevice& device);

/// {"matrix_tflops": {type: {...}}, "copy_gigabytes": {...}}: of each the figure that counts ("used") and the
/// medians of the first and of the last samples.
nlohmann::ordered_json ceilings_json(const MeasuringDevice& device);

/// Adds what depends on the ceilings: useful_tflops, percent_of_ceiling (on the CPU percent_of_sgemm, of the
/// least time), limit_ms, limited_by, percent_of_limit; and the ratios to the baseline.
void complete_row(nlohmann::ordered_json& row, const nlohmann::ordered_json& ceilings,
                  const Baseline& baseline, bool on_cpu);

/// Writes to a temporary file beside the target and renames it, so that no reader sees half of the results.
/// Throws Error{io}.
void write_results(const nlohmann::ordered_json& results, const std::string& path);
/// Throws Error{io} for a file that is not a suite's results.
nlohmann::ordered_json read_results(const std::string& path);

}  // namespace flexgemm::bench
