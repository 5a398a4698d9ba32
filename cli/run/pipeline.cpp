#include "run/pipeline.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "common/failure.hpp"
#include "common/scene_source.hpp"
#include "reference/reference.hpp"
#include "run/layer_data.hpp"
#include "run/memory.hpp"
#include "run/verify.hpp"

namespace flexgemm::run {

using namespace cli;

namespace {

using Clock = std::chrono::steady_clock;

Context open_device(const RunOptions& options) {
  ContextOptions context_options;
  context_options.threads = options.threads;
  for (const std::string& pack : options.kernel_packs) {
    verify_pack(pack);  // a context leaves a damaged one out with no more than a line in the log
    context_options.kernel_packs.emplace_back(pack);
  }
  if (options.device) return Context::open(*options.device, context_options);
  for (int ordinal = 0; ordinal < cuda_device_count(); ++ordinal) {
    try {
      return Context::open(Device::cuda(ordinal), context_options);
    } catch (const Error&) {  // a device that cannot be opened is no reason not to run
    }
  }
  return Context::open(Device::cpu(), context_options);
}

/// Bytes [rows, columns] of an array, for the device or back.
std::size_t bytes_of(std::int64_t rows, std::int64_t columns, std::size_t element) {
  return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns) * element;
}

/// The run, stage by stage. Each function needs what the ones above it have made.
class Run {
 public:
  Run(const RunOptions& options, const Progress& progress)
      : options_(options), progress_(progress), context_(open_device(options)) {
    result_.device = context_.description();
  }

  RunResult complete() {
    require_memory(footprint(0, 1), machine_bytes());
    load_scene();
    require_memory(footprint(scene_.voxels(), scene_.feature_columns), machine_bytes());
    upload();
    build_map();
    if (options_.verify) check_map();
    for (std::size_t index = 0; index < options_.channels.size(); ++index) run_layer(index);
    if (options_.verify) add_stage("verify", verify_milliseconds_);
    if (!options_.out.empty()) collect_output();
    result_.device_peak_bytes = context_.memory().peak_bytes;
    result_.process_peak_bytes = process_peak_bytes();
    return std::move(result_);
  }

 private:
  Footprint footprint(std::int64_t voxels, std::int64_t feature_columns) const {
    Footprint footprint{.voxels = voxels,
                        .volume = volume(),
                        .channels = {feature_columns},
                        .dtype = options_.dtype,
                        .on_host = context_.device().is_cpu(),
                        .verify = options_.verify};
    footprint.channels.insert(footprint.channels.end(), options_.channels.begin(), options_.channels.end());
    return footprint;
  }

  void load_scene() {
    const SceneSource source = parse_scene_source(options_.scene);
    const bool generated = source.kind != SceneSource::Kind::file;
    scene::PointCloud cloud;
    timed_stage(generated ? "generate" : "read", [&] {
      if (source.kind == SceneSource::Kind::sphere) scene_ = scene::sphere_scene(source.resolution);
      if (source.kind == SceneSource::Kind::lidar) cloud = scene::lidar_scan(source.seed);
      if (!generated) cloud = scene::read_point_cloud(source.path, {.bin_columns = options_.columns});
    });
    if (source.kind != SceneSource::Kind::sphere) {
      timed_stage("voxelize", [&] {
        scene_ = scene::voxelize(cloud, {.voxel_size = options_.voxel_size, .range = options_.range});
      });
    }
    result_.points = scene_.points;
    result_.dropped_not_finite = scene_.dropped_not_finite;
    result_.dropped_out_of_range = scene_.dropped_out_of_range;
    result_.voxels = scene_.voxels();
  }

  void upload() {
    const std::int64_t widest = *std::max_element(options_.channels.begin(), options_.channels.end());
    const std::size_t element = size_of(options_.dtype);
    channels_ = scene_.feature_columns;
    timed_stage("upload", [&] {
      const std::vector<std::byte> feats = encode(scene_.feats, options_.dtype);
      coords_ = context_.allocate(scene_.coords.size() * sizeof(std::int32_t));
      feats_ = context_.allocate(bytes_of(rows(), std::max(widest, channels_), element));
      out_ = context_.allocate(bytes_of(rows(), widest, element));
      context_.copy_to_device(coords_.data(), scene_.coords.data(), coords_.bytes());
      context_.copy_to_device(feats_.data(), feats.data(), feats.size());
      context_.synchronize();
      if (options_.verify) host_feats_ = feats;
    });
  }

  void build_map() {
    const ConstTensorView coords(static_cast<const std::int32_t*>(coords_.data()), {rows(), 4});
    progress_("map");
    add_stage("map", median_milliseconds(
                         [&] { map_ = {}; },
                         [&] { map_ = context_.submanifold_map(coords, scene_.grid, options_.map); }));
    result_.pairs = map_.pairs();
  }

  void check_map() {
    progress_("verify");
    const auto begin = Clock::now();
    const std::int64_t voxels = rows();
    Verification& verification = result_.verification.emplace();
    verification.rows = verification_rows(voxels, result_.pairs, volume(),
                                          footprint(voxels, scene_.feature_columns).channels);
    verification.tolerance = reference::tolerance(options_.dtype);
    sample_ = draw_sample(scene_, options_.map, verification.rows, options_.seed);
    std::vector<std::int32_t> indices(static_cast<std::size_t>(voxels) * static_cast<std::size_t>(volume()));
    context_.copy_to_host(indices.data(), map_.indices().data, indices.size() * sizeof(std::int32_t));
    verification.map_mismatches = map_mismatches(sample_, indices.data());
    verify_milliseconds_ += milliseconds_since(begin);
  }

  void run_layer(std::size_t index) {
    const Conv3dOptions layer{.in_channels = channels_,
                              .out_channels = options_.channels[index],
                              .kernel = options_.map.kernel,
                              .dtype = options_.dtype,
                              .algorithm = options_.algorithm};
    progress_(fmt::format("layer {} of {}", index + 1, options_.channels.size()));
    const Conv3d conv = context_.conv3d(layer);
    const LayerParameters parameters =
        random_parameters(layer, result_.pairs_per_voxel(), options_.seed, index);
    const Buffer weight = context_.allocate(parameters.weight.size());
    const Buffer bias = context_.allocate(parameters.bias.size() * sizeof(float));
    context_.copy_to_device(weight.data(), parameters.weight.data(), weight.bytes());
    context_.copy_to_device(bias.data(), parameters.bias.data(), bias.bytes());
    if (options_.verify) poison_output(layer);

    const Extent3& kernel = layer.kernel;
    const ConstTensorView feats_view(feats_.data(), layer.dtype, {rows(), layer.in_channels});
    const ConstTensorView weight_view(weight.data(), layer.dtype,
                                      {layer.out_channels, kernel.x, kernel.y, kernel.z, layer.in_channels});
    const ConstTensorView bias_view(bias.data(), DType::f32, {layer.out_channels});
    const TensorView out_view(out_.data(), layer.dtype, {rows(), layer.out_channels});
    const auto forward = [&] { conv.forward(map_, feats_view, weight_view, bias_view, out_view); };
    if (context_.device().is_cuda()) {  // the first call compiles the kernel and lays the map out for it
      timed_stage(fmt::format("layer {} first call", index + 1), [&] {
        forward();
        context_.synchronize();
      });
    }
    const double milliseconds = median_milliseconds([] {}, forward);
    add_layer(layer, conv.choice(map_, Op::forward), milliseconds);
    if (options_.verify) check_layer(layer, parameters);
    std::swap(feats_, out_);
    channels_ = layer.out_channels;
  }

  /// Fills the output with NaN, so that a row that the layer does not write cannot pass.
  void poison_output(const Conv3dOptions& layer) {
    const std::vector<std::byte> ones(bytes_of(rows(), layer.out_channels, size_of(layer.dtype)),
                                      std::byte{0xff});
    context_.copy_to_device(out_.data(), ones.data(), ones.size());
  }

  void check_layer(const Conv3dOptions& layer, const LayerParameters& parameters) {
    const auto begin = Clock::now();
    std::vector<std::byte> out(bytes_of(rows(), layer.out_channels, size_of(layer.dtype)));
    context_.copy_to_host(out.data(), out_.data(), out.size());
    result_.verification->layer_errors.push_back(layer_error(sample_, {.options = &layer,
                                                                       .feats = host_feats_.data(),
                                                                       .weight = parameters.weight.data(),
                                                                       .bias = parameters.bias.data(),
                                                                       .out = out.data()}));
    host_feats_ = std::move(out);
    verify_milliseconds_ += milliseconds_since(begin);
  }

  void collect_output() {
    std::vector<std::byte> encoded(bytes_of(rows(), channels_, size_of(options_.dtype)));
    context_.copy_to_host(encoded.data(), feats_.data(), encoded.size());
    result_.feats.resize(static_cast<std::size_t>(rows()) * static_cast<std::size_t>(channels_));
    for (std::size_t index = 0; index < result_.feats.size(); ++index) {
      result_.feats[index] = decode(encoded.data(), options_.dtype, static_cast<std::int64_t>(index));
    }
    result_.coords = std::move(scene_.coords);
  }

  void add_layer(const Conv3dOptions& layer, KernelChoice choice, double milliseconds) {
    const double flop = 2.0 * static_cast<double>(result_.pairs) * static_cast<double>(layer.in_channels) *
                        static_cast<double>(layer.out_channels);
    std::optional<double> gflops;
    if (flop > 0 && milliseconds > 0) gflops = flop / (milliseconds * 1e6);
    add_stage(fmt::format("layer {}", result_.layers.size() + 1), milliseconds, gflops);
    result_.layers.push_back(
        {layer.in_channels, layer.out_channels, std::move(choice), milliseconds, gflops});
  }

  void add_stage(std::string stage, double milliseconds, std::optional<double> gflops = {}) {
    result_.stages.push_back(
        {std::move(stage), milliseconds, gflops, context_.memory().peak_bytes, process_peak_bytes()});
  }

  template <class Body>
  void timed_stage(const std::string& stage, Body&& body) {
    progress_(stage);
    const auto begin = Clock::now();
    body();
    add_stage(stage, milliseconds_since(begin));
  }

  /// Median wall time of options_.repeat runs of `body`, each from an idle device to an idle device and after
  /// an untimed `prepare`; the runs follow one to warm up unless there is only one.
  template <class Prepare, class Body>
  double median_milliseconds(Prepare&& prepare, Body&& body) {
    std::vector<double> times;
    for (int run = options_.repeat > 1 ? -1 : 0; run < options_.repeat; ++run) {
      prepare();
      context_.synchronize();
      const auto begin = Clock::now();
      body();
      context_.synchronize();
      if (run >= 0) times.push_back(milliseconds_since(begin));
    }
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
    std::nth_element(times.begin(), middle, times.end());
    if (times.size() % 2 == 1) return *middle;
    return (*middle + *std::max_element(times.begin(), middle)) / 2;
  }

  static double milliseconds_since(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  }

  std::int64_t rows() const { return result_.voxels; }
  int volume() const {
    const Extent3& kernel = options_.map.kernel;
    return kernel.x * kernel.y * kernel.z;
  }

  const RunOptions& options_;
  const Progress& progress_;
  Context context_;
  RunResult result_;
  scene::VoxelScene scene_;
  Buffer coords_;
  Buffer feats_;  ///< input of the next layer
  Buffer out_;    ///< output of the next layer
  std::int64_t channels_ = 0;
  NeighborMap map_;
  VerificationSample sample_;
  std::vector<std::byte> host_feats_;  ///< what feats_ holds, when verifying
  double verify_milliseconds_ = 0;
};

}  // namespace

bool Verification::passed() const noexcept {
  return map_mismatches == 0 && std::all_of(layer_errors.begin(), layer_errors.end(),
                                            [this](double error) { return error <= tolerance; });
}

double RunResult::pairs_per_voxel() const noexcept {
  return voxels == 0 ? 0 : static_cast<double>(pairs) / static_cast<double>(voxels);
}

RunResult run_scene(const RunOptions& options, const Progress& progress) {
  return Run(options, progress).complete();
}

}  // namespace flexgemm::run
