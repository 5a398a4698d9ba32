#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <flexgemm/flexgemm.hpp>

#include "run/options.hpp"

namespace flexgemm::run {

/// One step of the run. Peaks are the highest reached from the start of the program to the end of the step.
struct Stage {
  std::string name;
  double milliseconds = 0;
  std::optional<double> gflops;  ///< useful, of a layer on a scene with voxels
  std::size_t device_peak_bytes = 0;
  std::size_t process_peak_bytes = 0;
};

struct LayerResult {
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  KernelChoice choice;
  double milliseconds = 0;
  std::optional<double> gflops;  ///< useful; none without voxels
};

/// What --verify found.
struct Verification {
  std::vector<double> layer_errors;  ///< relative, one a layer
  std::int64_t rows = 0;             ///< rows checked
  std::int64_t map_mismatches = 0;   ///< entries of the map that differ from the reference's
  double tolerance = 0;              ///< most that a layer's error may be

  bool passed() const noexcept;
};

struct RunResult {
  std::string device;  ///< Context::description()
  std::int64_t points = 0;
  std::int64_t dropped_not_finite = 0;
  std::int64_t dropped_out_of_range = 0;
  std::int64_t voxels = 0;
  std::int64_t pairs = 0;
  std::vector<Stage> stages;
  std::vector<LayerResult> layers;
  std::optional<Verification> verification;  ///< none unless asked for
  std::size_t device_peak_bytes = 0;
  std::size_t process_peak_bytes = 0;
  std::vector<std::int32_t> coords;  ///< [voxels, 4]; empty unless options.out is given
  std::vector<float> feats;          ///< [voxels, channels of the last layer]; likewise

  double pairs_per_voxel() const noexcept;
};

/// Called with the name of each stage as it begins.
using Progress = std::function<void(const std::string& stage)>;

/// The main job: reads or generates the scene, voxelizes it, builds the neighbor map, runs the layers and, if
/// asked, checks the map and each layer on its actual input against the float64 reference. Throws Error: io
/// for a scene that cannot be read, invalid_argument for options that do not fit it or this machine,
/// no_device, unsupported for a pinned algorithm that cannot serve, out_of_memory, driver. A failed
/// verification is a result, not an error.
RunResult run_scene(const RunOptions& options, const Progress& progress);

}  // namespace flexgemm::run
