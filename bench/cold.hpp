#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace flexgemm::bench {

struct ColdOptions {
  std::string run_program;   ///< path of flexgemm-run
  std::string hide_nvrtc;    ///< path of the audit module that hides NVRTC; empty: that state is not measured
  std::string driver_start;  ///< path of flexgemm-driver-start; empty: the driver's share is not measured
  std::string scene = "sphere:64";
  std::string channels = "64";  ///< of the layers, as flexgemm-run takes them
  std::string dtype = "f16";
  std::string device = "cuda:0";
  int repeat = 3;
};

/// Starts flexgemm-run on one scene with an empty cache folder, with the folder that this left, and with that
/// and no NVRTC; on a GPU also, in turn with each, a program that does no more than initialize the driver and
/// make the GPU's primary context. Returns {"options", "states": [{"state", "seconds": {...}, "stages_ms":
/// {...}, "driver_seconds": {...}, "driver_stages_ms": {...}, "beyond_driver_seconds"} or {"state",
/// "failed"}], "notes"}; what is beyond the driver is the difference of the medians. Seconds are of the whole
/// process, from before its start until its results are printed. Throws Error{io} if the program cannot be
/// started.
nlohmann::ordered_json measure_cold_start(const ColdOptions& options);

/// For a terminal, or as Markdown.
std::string cold_start_text(const nlohmann::ordered_json& results, bool markdown);

}  // namespace flexgemm::bench
