// flexgemm-graph-replay: an outside clock for flexgemm-bench. Times the forward pass of one layer by replays
// of a CUDA graph and shares nothing with the benchmark: not its timer, not its data, not its process.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <cuda_runtime_api.h>

#include <flexgemm/flexgemm.hpp>

#include "scene/point_cloud.hpp"
#include "scene/voxel_scene.hpp"

namespace {

using namespace flexgemm;

struct Arguments {
  int sphere = 256;
  std::string scan;
  double voxel_size = 0.1;
  std::vector<double> range;
  std::int64_t channels = 256;
  std::string dtype = "f16";
  double warm_seconds = 1.0;
  int sets = 4;
  int replays = 40;
};

void check(cudaError_t result, const char* call) {
  if (result != cudaSuccess)
    throw Error(ErrorCode::driver, std::string(call) + ": " + cudaGetErrorString(result));
}

scene::VoxelScene read_scene(const Arguments& arguments) {
  if (arguments.scan.empty()) return scene::sphere_scene(arguments.sphere);
  scene::VoxelizeOptions options;
  options.voxel_size.fill(arguments.voxel_size);
  if (arguments.range.size() == 6) {
    const std::vector<double>& r = arguments.range;
    options.range = scene::Range{{r[0], r[1], r[2]}, {r[3], r[4], r[5]}};
  }
  return scene::voxelize(scene::read_point_cloud(arguments.scan, {}), options);
}

/// `count` normal values of the type, on the device.
Buffer random_values(const Context& context, DType dtype, std::int64_t count, float deviation,
                     unsigned seed) {
  // One drawn block over and over: values need to be random, not independent.
  constexpr std::int64_t block = 1 << 20;
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0F, deviation);
  const auto element = static_cast<std::int64_t>(size_of(dtype));
  std::vector<std::byte> bytes(static_cast<std::size_t>(std::min(block, count) * element));
  for (std::int64_t i = 0; i < std::min(block, count); ++i) {
    const float value = normal(generator);
    std::byte* target = bytes.data() + i * element;
    if (dtype == DType::f16) {
      const f16 half = to_f16(value);
      std::memcpy(target, &half, sizeof(half));
    } else if (dtype == DType::bf16) {
      const bf16 brain = to_bf16(value);
      std::memcpy(target, &brain, sizeof(brain));
    } else {
      std::memcpy(target, &value, sizeof(value));
    }
  }
  Buffer buffer = context.allocate(static_cast<std::size_t>(count * element));
  for (std::int64_t done = 0; done < count; done += block) {
    context.copy_to_device(static_cast<std::byte*>(buffer.data()) + done * element, bytes.data(),
                           static_cast<std::size_t>(std::min(block, count - done) * element));
  }
  return buffer;
}

/// One layer's forward passes over rotated tensors, captured once.
class ReplayedLayer {
 public:
  explicit ReplayedLayer(const Arguments& arguments)
      : context_(Context::open(Device::cuda(0))), dtype_(parse_dtype(arguments.dtype)) {
    const scene::VoxelScene scene = read_scene(arguments);
    const std::int64_t channels = arguments.channels;
    rows_ = scene.voxels();
    Buffer coords = context_.allocate(scene.coords.size() * sizeof(std::int32_t));
    context_.copy_to_device(coords.data(), scene.coords.data(), coords.bytes());
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    map_ = context_.submanifold_map({coords.data(), DType::i32, {rows_, 4}}, scene.grid, {}, stream_);
    conv_ = context_.conv3d(
        {.in_channels = channels, .out_channels = channels, .kernel = {3, 3, 3}, .dtype = dtype_});
    for (int set = 0; set < arguments.sets; ++set) {
      const auto seed = static_cast<unsigned>(2 * set);
      feats_.push_back(random_values(context_, dtype_, rows_ * channels, 1.0F, seed + 1));
      weight_.push_back(random_values(context_, dtype_, channels * 27 * channels, 0.02F, seed + 2));
      out_.push_back(context_.allocate(feats_.back().bytes()));
    }
    for (int set = 0; set < arguments.sets; ++set) forward(set);
    capture(arguments.sets);
  }
  ~ReplayedLayer() {
    if (executable_ != nullptr) cudaGraphExecDestroy(executable_);
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }
  ReplayedLayer(const ReplayedLayer&) = delete;
  ReplayedLayer& operator=(const ReplayedLayer&) = delete;

  std::int64_t rows() const { return rows_; }
  std::int64_t pairs() const { return map_.pairs(); }
  std::string kernel() const { return conv_.choice(map_, Op::forward).kernel; }

  /// Milliseconds a call in one replay.
  double replay() {
    cudaEvent_t begin = nullptr;
    cudaEvent_t end = nullptr;
    check(cudaEventCreate(&begin), "cudaEventCreate");
    check(cudaEventCreate(&end), "cudaEventCreate");
    check(cudaEventRecord(begin, stream_), "cudaEventRecord");
    check(cudaGraphLaunch(executable_, stream_), "cudaGraphLaunch");
    check(cudaEventRecord(end, stream_), "cudaEventRecord");
    check(cudaEventSynchronize(end), "cudaEventSynchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
    return milliseconds / static_cast<double>(calls_);
  }

 private:
  void forward(int set) {
    const auto index = static_cast<std::size_t>(set);
    const std::int64_t channels = conv_.options().in_channels;
    conv_.forward(map_, {feats_[index].data(), dtype_, {rows_, channels}},
                  {weight_[index].data(), dtype_, {channels, 3, 3, 3, channels}}, {},
                  {out_[index].data(), dtype_, {rows_, channels}}, stream_);
  }

  void capture(int sets) {
    check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
    calls_ = sets * 4;
    for (int call = 0; call < calls_; ++call) forward(call % sets);
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(stream_, &graph), "cudaStreamEndCapture");
    check(cudaGraphInstantiate(&executable_, graph, 0), "cudaGraphInstantiate");
    cudaGraphDestroy(graph);
  }

  Context context_;
  DType dtype_;
  std::int64_t rows_ = 0;
  NeighborMap map_;
  Conv3d conv_;
  std::vector<Buffer> feats_, weight_, out_;
  cudaStream_t stream_ = nullptr;
  cudaGraphExec_t executable_ = nullptr;
  int calls_ = 0;
};

int run(const Arguments& arguments) {
  ReplayedLayer layer(arguments);
  const auto warm_until =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(arguments.warm_seconds);
  while (std::chrono::steady_clock::now() < warm_until) layer.replay();
  std::vector<double> times;
  for (int i = 0; i < arguments.replays; ++i) times.push_back(layer.replay());
  std::sort(times.begin(), times.end());
  std::printf("%lld voxels, %lld pairs, C %lld, %s: median %.4f ms, minimum %.4f ms, %s\n",
              static_cast<long long>(layer.rows()), static_cast<long long>(layer.pairs()),
              static_cast<long long>(arguments.channels), arguments.dtype.c_str(), times[times.size() / 2],
              times.front(), layer.kernel().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Times the forward pass of one 3x3x3 layer C -> C by replays of a CUDA graph.",
               "flexgemm-graph-replay");
  app.add_option("--sphere", arguments.sphere, "Resolution of the voxel shell")->capture_default_str();
  app.add_option("--scan", arguments.scan, "A scan instead of a sphere")->check(CLI::ExistingFile);
  app.add_option("--voxel-size", arguments.voxel_size, "Metres")->capture_default_str();
  app.add_option("--range", arguments.range, "Metres: x,y,z,x,y,z of two corners")
      ->delimiter(',')
      ->expected(6);
  app.add_option("--channels", arguments.channels, "C")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  app.add_option("--dtype", arguments.dtype, "f32, tf32, f16 or bf16")->capture_default_str();
  app.add_option("--warm", arguments.warm_seconds, "Seconds of replays before the first that counts")
      ->capture_default_str();
  try {
    app.parse(argc, argv);
    return run(arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "flexgemm-graph-replay: %s\n", error.what());
    return 3;
  }
}
