#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <flexgemm/flexgemm.hpp>

#include "scene/voxel_scene.hpp"
#include "tune/layer_request.hpp"

namespace flexgemm::tune {

/// What is to be tuned, and how.
struct TuneJob {
  std::vector<LayerRequest> layers;
  /// Voxels of every layer; none: a synthetic scene for each layer as it is described.
  std::optional<scene::VoxelScene> scene;
  std::vector<Device> devices;  ///< GPUs; equal models share the layers, different ones do all of them
  CacheOptions cache;
  double budget_seconds = 10;  ///< a layer
  int jobs = 0;                ///< compiling worker processes of all devices together; 0: one a processor
  int most_candidates = 24;
  bool force = false;  ///< also what the cache has a result for
};

/// What became of one layer on one kind of GPU.
struct LayerOutcome {
  enum class State {
    waiting,  ///< was not reached
    tuned,
    stored,  ///< the cache had a result already
    failed,
  };
  std::size_t layer = 0;  ///< position in TuneJob::layers
  std::string model;      ///< "NVIDIA H200, sm_90, 132 SMs"
  std::string device;     ///< "cuda:0" where it was tuned
  State state = State::waiting;
  std::int64_t voxels = 0;
  std::int64_t pairs = 0;
  TuneReport report;                 ///< if tuned
  std::optional<TuningEntry> entry;  ///< if stored
  std::string problem;               ///< if failed
};

/// "waiting", "tuned", "stored", "failed".
const char* name(LayerOutcome::State state) noexcept;

/// Called from any of the tuning threads, one at a time, with a line about what is under way.
using TuneProgressLine = std::function<void(const std::string& line)>;

/// Tunes the layers on all devices side by side, until all is done or interrupted() says stop; then layers
/// that were not reached are `waiting`. Layers in order, for each kind of GPU. A layer that cannot be tuned
/// is `failed`, not an error. Throws Error{no_device} for a device that cannot be opened.
std::vector<LayerOutcome> run_tuning(const TuneJob& job, const TuneProgressLine& progress);

}  // namespace flexgemm::tune
