#include "tune/tune_job.hpp"

#include <algorithm>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include <flexgemm/kernels.hpp>

#include "common/failure.hpp"
#include "scene/synthetic_scene.hpp"
#include "tune/interrupt.hpp"

namespace flexgemm::tune {

namespace {

/// "NVIDIA H200, sm_90, 132 SMs" of "cuda:0, NVIDIA H200, sm_90, 132 SMs".
std::string model_of(const Context& context) {
  const std::string text = context.description();
  const std::size_t comma = text.find(", ");
  return comma == std::string::npos ? text : text.substr(comma + 2);
}

/// Makes a device's neighbor maps; keeps the last one, because layers of a network often share it.
class MapMaker {
 public:
  MapMaker(const Context& context, const TuneJob& job) : context_(context), job_(job) {}

  const NeighborMap& map_for(const LayerRequest& layer) {
    const SubmanifoldOptions options{
        .kernel = layer.conv.kernel, .dilation = layer.dilation, .checked = job_.scene.has_value()};
    const bool same_scene = job_.scene || (voxels_ == layer.voxels && pairs_ == layer.pairs_per_voxel);
    if (map_ && same_scene && map_.kernel() == options.kernel && map_.dilation() == options.dilation)
      return map_;
    map_ = {};
    scene::VoxelScene made;
    if (!job_.scene) {
      made = scene::synthetic_scene(
          {.voxels = layer.voxels, .pairs_per_voxel = layer.pairs_per_voxel, .map = options});
    }
    const scene::VoxelScene& scene = job_.scene ? *job_.scene : made;
    const Buffer coords = context_.allocate(scene.coords.size() * sizeof(std::int32_t));
    context_.copy_to_device(coords.data(), scene.coords.data(), coords.bytes());
    const ConstTensorView view(static_cast<const std::int32_t*>(coords.data()), {scene.voxels(), 4});
    map_ = context_.submanifold_map(view, scene.grid, options);
    context_.synchronize();  // before the coordinates go
    voxels_ = layer.voxels;
    pairs_ = layer.pairs_per_voxel;
    return map_;
  }

 private:
  const Context& context_;
  const TuneJob& job_;
  NeighborMap map_;
  std::int64_t voxels_ = 0;
  std::optional<double> pairs_;
};

/// The devices of one model and the layers that they share.
struct Group {
  std::vector<LayerOutcome> outcomes;
  std::size_t next = 0;
};

class Tuning {
 public:
  Tuning(const TuneJob& job, const TuneProgressLine& progress) : job_(job), progress_(progress) {}

  std::vector<LayerOutcome> run() {
    std::vector<std::string> models;
    for (const Device device : job_.devices) {
      ContextOptions options;
      options.cache = job_.cache;
      contexts_.push_back(Context::open(device, options));
      models.push_back(model_of(contexts_.back()));
      Group& group = groups_[models.back()];
      if (!group.outcomes.empty()) continue;
      for (std::size_t layer = 0; layer < job_.layers.size(); ++layer) {
        LayerOutcome& outcome = group.outcomes.emplace_back();
        outcome.layer = layer;
        outcome.model = models.back();
      }
    }
    std::vector<std::thread> threads;
    for (std::size_t index = 0; index < contexts_.size(); ++index) {
      threads.emplace_back([this, index, &models] { work(contexts_[index], groups_[models[index]]); });
    }
    for (std::thread& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
    std::vector<LayerOutcome> all;
    for (std::size_t layer = 0; layer < job_.layers.size(); ++layer) {
      for (auto& [model, group] : groups_) all.push_back(std::move(group.outcomes[layer]));
    }
    return all;
  }

 private:
  void work(const Context& context, Group& group) noexcept {
    try {
      MapMaker maps(context, job_);
      while (LayerOutcome* outcome = next(group)) {
        outcome->device = to_string(context.device());
        if (!tune(context, maps, *outcome)) return;
      }
    } catch (...) {  // out of host memory, most likely
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }

  LayerOutcome* next(Group& group) {
    const std::lock_guard lock(mutex_);
    if (interrupted() != 0 || failure_ || group.next == group.outcomes.size()) return nullptr;
    return &group.outcomes[group.next++];
  }

  /// False if the device is of no more use.
  bool tune(const Context& context, MapMaker& maps, LayerOutcome& outcome) {
    const LayerRequest& layer = job_.layers[outcome.layer];
    try {
      report(outcome, "making the map");
      const NeighborMap& map = maps.map_for(layer);
      outcome.voxels = map.rows();
      outcome.pairs = map.pairs();
      const Conv3d conv = context.conv3d(layer.conv);
      const TunePass pass{.op = layer.op, .bias = layer.bias};
      if (!job_.force) {
        outcome.entry = stored_result(outcome, layer);
        if (outcome.entry) {
          outcome.state = LayerOutcome::State::stored;
          return true;
        }
      }
      outcome.report = conv.tune(map, request(pass, outcome));
      outcome.state = LayerOutcome::State::tuned;
      if (!outcome.report.winner) {
        const bool stopped = outcome.report.end == TuneEnd::cancelled;
        outcome.state = stopped ? LayerOutcome::State::waiting : LayerOutcome::State::failed;
        outcome.problem = outcome.report.end == TuneEnd::budget
                              ? "the budget ended before a kernel was measured; give more with --budget"
                              : "no kernel computed the layer correctly";
      }
      return true;
    } catch (const Error& error) {
      outcome.state = LayerOutcome::State::failed;
      outcome.problem = error.what();
      return error.code() != ErrorCode::driver;
    }
  }

  /// What the cache holds for this layer on this model, measured on as many voxels and pairs.
  std::optional<TuningEntry> stored_result(const LayerOutcome& outcome, const LayerRequest& layer) const {
    for (const TuningEntry& entry : list_tuning(job_.cache)) {
      const TuningKey& key = entry.key;
      const bool same_model = outcome.model.starts_with(key.device + ", ") &&
                              outcome.model.ends_with(fmt::format(", {} SMs", key.multiprocessors));
      const bool same_layer = key.op == layer.op && key.dtype == layer.conv.dtype &&
                              key.in_channels == layer.conv.in_channels &&
                              key.out_channels == layer.conv.out_channels &&
                              key.algorithm == layer.conv.algorithm && key.epilogue == bias_words(layer);
      const Extent3& kernel = layer.conv.kernel;
      if (same_model && same_layer && key.volume == kernel.x * kernel.y * kernel.z &&
          entry.rows == outcome.voxels && entry.pairs == outcome.pairs &&
          key.template_hash == template_hash()) {
        return entry;
      }
    }
    return std::nullopt;
  }

  static std::string bias_words(const LayerRequest& layer) {
    if (!layer.bias) return "bias0";
    return *layer.bias == DType::f32 ? "bias_f32" : "bias_storage";
  }

  TuneRequest request(const TunePass& pass, const LayerOutcome& outcome) {
    TuneRequest request;
    request.pass = pass;
    request.budget_seconds = job_.budget_seconds;
    const int devices = static_cast<int>(job_.devices.size());
    const int jobs = job_.jobs > 0 ? job_.jobs : static_cast<int>(std::thread::hardware_concurrency());
    request.jobs = std::clamp(jobs / devices, 1, 16);
    request.most_candidates = job_.most_candidates;
    request.progress = [this, &outcome](const TuneProgress& progress) {
      std::string line = fmt::format("{} compiled, {} measured of {}, {:.1f} s", progress.compiled,
                                     progress.measured, progress.candidates, progress.seconds);
      if (progress.leader != nullptr) line += fmt::format(", best {:.4f} ms", progress.leader->measured_ms);
      report(outcome, line);
    };
    request.cancelled = [] { return interrupted() != 0; };
    return request;
  }

  void report(const LayerOutcome& outcome, const std::string& what) {
    const std::lock_guard lock(progress_mutex_);
    progress_(fmt::format("{}: layer {} of {}, {}: {}", outcome.device, outcome.layer + 1, job_.layers.size(),
                          describe(job_.layers[outcome.layer]), what));
  }

  const TuneJob& job_;
  const TuneProgressLine& progress_;
  std::vector<Context> contexts_;
  std::map<std::string, Group> groups_;  // by model
  std::mutex mutex_;                     // guards `next` of the groups and failure_
  std::exception_ptr failure_;
  std::mutex progress_mutex_;
};

}  // namespace

const char* name(LayerOutcome::State state) noexcept {
  switch (state) {
    case LayerOutcome::State::waiting:
      return "waiting";
    case LayerOutcome::State::tuned:
      return "tuned";
    case LayerOutcome::State::stored:
      return "stored";
    case LayerOutcome::State::failed:
      return "failed";
  }
  return "unknown";
}

std::vector<LayerOutcome> run_tuning(const TuneJob& job, const TuneProgressLine& progress) {
  return Tuning(job, progress).run();
}

}  // namespace flexgemm::tune
