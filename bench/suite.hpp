#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <flexgemm/dtype.hpp>

#include "scene/voxel_scene.hpp"

namespace flexgemm::bench {

struct SuiteOptions {
  bool quick = false;  ///< a small scene and few repetitions: a smoke test
  int threads = 0;     ///< of the CPU backend; 0: all
  std::vector<std::string> scans;
  scene::VoxelizeOptions voxelize;
  std::vector<std::int64_t> channels;  ///< Ci = Co; empty: the suite's own
  std::vector<std::string> dtypes;     ///< empty: the suite's own
};

/// Measures the CPU backend, printing a table row by row, and returns the results:
/// {"device", "version", "options", "ceilings": {"sgemm_gflops", "copy_gigabytes"}, "maps": [...], "passes":
/// [...]}.
nlohmann::json run_cpu_suite(const SuiteOptions& options);

}  // namespace flexgemm::bench
