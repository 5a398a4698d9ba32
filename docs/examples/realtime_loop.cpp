// A robot's loop: every frame of points becomes voxels, a neighbor map and the features of two layers, in
// memory that was taken before the first frame. On a GPU, built with CUDA's headers, the whole frame is one
// CUDA graph that is replayed whatever the number of points; nothing but the points goes to the device, and
// nothing but the number of voxels comes back.
//
//   realtime_loop [cpu|cuda:N] [frames]     exit codes: 0 ok, 1 failed, 4 the device is not there

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <flexgemm/flexgemm.hpp>

#if defined(EXAMPLE_WITH_CUDA)
#include <cuda_runtime_api.h>
#endif

using namespace flexgemm;

namespace {

constexpr std::int64_t max_points = 20000;
constexpr std::int64_t max_voxels = 12000;
constexpr int columns = 4;  // x, y, z, intensity
constexpr std::int64_t channels = 32;

/// A street of changing length before the sensor: ground and two walls.
std::vector<float> points_of(int frame) {
  const int count = 2000 + (frame * 3571) % 16000;
  std::vector<float> points;
  std::uint32_t random = static_cast<std::uint32_t>(frame) * 747796405U + 1U;
  const auto uniform = [&random] {
    random = random * 1664525U + 1013904223U;
    return static_cast<float>(random >> 8) / 16777216.0F;
  };
  for (int i = 0; i < count; ++i) {
    const float along = 40 * uniform();
    const float across = 8 * uniform() - 4;
    const bool wall = i % 3 == 0;
    points.insert(points.end(), {along, wall ? std::copysign(4.0F, across) : across,
                                 wall ? 3 * uniform() : 0.05F * uniform(), uniform()});
  }
  return points;
}

/// Everything that a frame needs: made once.
struct Loop {
  explicit Loop(const Context& context_) : context(context_) {
    grid = {1, 200, 50, 20};
    voxelizer = context.voxelizer({.max_points = max_points,
                                   .max_voxels = max_voxels,
                                   .columns = columns,
                                   .low = {0, -5, -0.5F},
                                   .voxel_size = {0.2F, 0.2F, 0.2F},
                                   .grid = grid});
    map = context.frame_map(max_voxels, grid);
    const auto floats = [this](std::int64_t count) {
      return context.allocate(static_cast<std::size_t>(count) * sizeof(float));
    };
    points = floats(max_points * columns);
    counts = floats(2);
    coords = floats(max_voxels * 4);
    feats = floats(max_voxels * columns);
    hidden = floats(max_voxels * channels);
    out = floats(max_voxels * channels);
    first_weight = random_weight(columns);
    second_weight = random_weight(channels);
    const auto plan = [this](std::int64_t in_channels) {
      return context
          .conv3d({.in_channels = in_channels,
                   .out_channels = channels,
                   .dtype = DType::tf32,
                   .epilogue = {.activation = Activation::relu}})
          .freeze(map.map());
    };
    first = plan(columns);
    second = plan(channels);
  }

  Buffer random_weight(std::int64_t in_channels) const {
    std::vector<float> values(static_cast<std::size_t>(channels * 27 * in_channels));
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] =
          std::sin(static_cast<float>(i) * 12.9898F) / std::sqrt(9.0F * static_cast<float>(in_channels));
    }
    Buffer buffer = context.allocate(values.size() * sizeof(float));
    context.copy_to_device(buffer.data(), values.data(), buffer.bytes());
    return buffer;
  }

  ConstTensorView weight(const Buffer& buffer, std::int64_t in_channels) const {
    return {buffer.data(), DType::f32, {channels, 3, 3, 3, in_channels}};
  }
  TensorView rows(const Buffer& buffer, std::int64_t width) const {
    return {buffer.data(), DType::f32, {max_voxels, width}};
  }
  TensorView count(int which) const {
    return {static_cast<std::int32_t*>(counts.data()) + which, DType::i32, {1}};
  }

  void upload(const std::vector<float>& frame, Stream stream) const {
    const auto number = static_cast<std::int32_t>(frame.size() / columns);
    context.copy_to_device(points.data(), frame.data(), frame.size() * sizeof(float), stream);
    context.copy_to_device(counts.data(), &number, sizeof(number), stream);
  }
  /// A frame: launches only. The number of voxels stays on the device.
  void run(Stream stream) const {
    voxelizer.run({points.data(), DType::f32, {max_points, columns}}, count(0),
                  {coords.data(), DType::i32, {max_voxels, 4}}, rows(feats, columns), count(1), stream);
    map.build({coords.data(), DType::i32, {max_voxels, 4}}, count(1), stream);
    first.forward(rows(feats, columns), weight(first_weight, columns), {}, rows(hidden, channels), {},
                  stream);
    second.forward(rows(hidden, channels), weight(second_weight, channels), {}, rows(out, channels), {},
                   stream);
  }

  Context context;
  Grid grid;
  Voxelizer voxelizer;
  FrameMap map;
  Plan first, second;
  Buffer points, counts, coords, feats, hidden, out, first_weight, second_weight;
};

/// Runs the frames: each call of `frame` is one pass over the loop, enqueued on `stream`.
template <class Frame>
void drive(const Loop& loop, int frames, Stream stream, const Frame& frame) {
  double worst = 0;
  double total = 0;
  for (int i = 0; i < frames; ++i) {
    loop.upload(points_of(i), stream);
    const auto start = std::chrono::steady_clock::now();
    frame();
    loop.context.synchronize(stream);
    const double ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    if (i > 0) worst = ms > worst ? ms : worst;  // the first frame warms caches up
    total += ms;
  }
  const FrameStatus status = loop.map.status(stream);
  std::vector<float> first_row(channels);
  loop.context.copy_to_host(first_row.data(), loop.out.data(), first_row.size() * sizeof(float), stream);
  std::printf("%d frames, %.3f ms each, %.3f ms at most; last: %lld voxels, %lld pairs, out[0][0] %.4f; %s\n",
              frames, total / frames, worst, static_cast<long long>(status.rows),
              static_cast<long long>(status.pairs), static_cast<double>(first_row[0]),
              status.overflow ? "CAPACITY EXCEEDED" : "all voxels served");
}

}  // namespace

int main(int argument_count, char** arguments) {
  try {
    const Device fallback = cuda_device_count() > 0 ? Device::cuda(0) : Device::cpu();
    const Device device = argument_count > 1 ? Device::parse(arguments[1]) : fallback;
    const int frames = argument_count > 2 ? std::atoi(arguments[2]) : 50;
    const Loop loop(Context::open(device));
#if defined(EXAMPLE_WITH_CUDA)
    if (device.is_cuda()) {
      cudaStream_t stream = nullptr;
      cudaGraph_t graph = nullptr;
      cudaGraphExec_t executable = nullptr;
      cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
      cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
      loop.run(stream);
      cudaStreamEndCapture(stream, &graph);
      if (cudaGraphInstantiate(&executable, graph, 0) != cudaSuccess) {
        std::fprintf(stderr, "the frame could not be captured\n");
        return 1;
      }
      drive(loop, frames, stream, [&] { cudaGraphLaunch(executable, stream); });
      cudaGraphExecDestroy(executable);
      cudaGraphDestroy(graph);
      cudaStreamDestroy(stream);
      return 0;
    }
#endif
    drive(loop, frames, {}, [&] { loop.run({}); });
  } catch (const Error& error) {
    std::fprintf(stderr, "realtime_loop: %s\n", error.what());
    return error.code() == ErrorCode::no_device ? 4 : 1;
  }
}
