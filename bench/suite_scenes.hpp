#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "scenes.hpp"

namespace flexgemm::bench {

/// The scenes as they stand on the command line.
struct SceneArguments {
  std::vector<std::string> scenes;  ///< sphere:RES, lidar:SEED; "none"
  std::vector<std::string> scans;   ///< files
  std::vector<std::string>
      voxel_sizes;  ///< "0.1" or "0.05,0.05,0.1": the n-th is of the n-th scan, a single one of all
  std::vector<std::string> ranges;     ///< "x,y,z,x,y,z", likewise
  std::vector<std::int64_t> channels;  ///< of every scene; empty: each its own
};

void declare_scene_arguments(CLI::App& command, SceneArguments& arguments);

/// Default on a GPU: the eight spheres, and the scans. Throws Error{invalid_argument}.
std::vector<SceneRequest> scene_requests(const SceneArguments& arguments, bool on_cpu, bool quick);

}  // namespace flexgemm::bench
