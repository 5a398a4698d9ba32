#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <flexgemm/flexgemm.hpp>

#include "op/random.hpp"
#include "scene/point_cloud.hpp"
#include "scene/shared_scan.hpp"
#include "scene/voxel_scene.hpp"

namespace flexgemm::frames_test {

inline constexpr int columns = 4;

/// The values of a scan with `columns` columns: what it lacks falls with the distance, as an intensity does.
inline std::vector<float> with_all_columns(const scene::PointCloud& cloud) {
  const auto given = static_cast<std::size_t>(cloud.columns);
  const std::size_t copied = std::min<std::size_t>(given, columns);
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(cloud.points()) * columns);
  for (std::size_t i = 0; i + given <= cloud.values.size(); i += given) {
    const float* point = &cloud.values[i];
    values.insert(values.end(), point, point + copied);
    const float intensity = 1 / (1 + std::hypot(point[0], point[1], point[2]));
    values.insert(values.end(), columns - copied, intensity);
  }
  return values;
}

/// Points of a stream of frames: windows of changing size of a generated scan and of real ones, an outdoor
/// scan and a KITTI frame, where they are (scene/shared_scan.hpp).
class FrameSource {
 public:
  explicit FrameSource(std::int64_t most_points) : most_points_(most_points) {
    scans_.push_back({"generated", scene::lidar_scan(1).values});
    for (const char* name : {outdoor, "kitti-000008.bin"}) {
      const auto path = test::find_scan(name);
      if (path) scans_.push_back({name, with_all_columns(scene::read_point_cloud(*path, {}))});
    }
  }
  static constexpr const char* outdoor = "outdoor-lidar.npz";

  /// The name of the scan that a frame is cut from; frames take turns.
  const std::string& scan_of(int frame) const { return scan(frame).name; }

  /// The points of a frame, [n, columns]; every seventh frame is tiny, the eleventh has none.
  std::vector<float> points(int frame) const {
    const std::vector<float>& scan = this->scan(frame).values;
    const auto all = static_cast<std::int64_t>(scan.size()) / columns;
    const auto seed = static_cast<std::uint64_t>(frame);
    std::int64_t count = op_test::random_below(seed, 0, std::min(all, most_points_)) + 1;
    if (frame % 7 == 3) count = 1 + frame % 40;
    if (frame % 11 == 5) count = 0;
    const std::int64_t first = op_test::random_below(seed, 1, all - count + 1);
    return {scan.begin() + first * columns, scan.begin() + (first + count) * columns};
  }

 private:
  struct Scan {
    std::string name;
    std::vector<float> values;  // [n, columns]
  };
  const Scan& scan(int frame) const { return scans_[static_cast<std::size_t>(frame) % scans_.size()]; }

  std::int64_t most_points_;
  std::vector<Scan> scans_;
};

/// Memory of the library, counted.
class CountingAllocator final : public Allocator {
 public:
  explicit CountingAllocator(const Context& context) : source_(context) {}
  void* allocate(std::size_t bytes, Stream stream) noexcept override {
    ++calls;
    try {
      auto* buffer = new Buffer(source_.allocate(bytes, stream));
      const std::lock_guard lock(mutex_);
      buffers_.emplace_back(buffer);
      return buffer->data();
    } catch (...) {
      return nullptr;
    }
  }
  void deallocate(void* pointer, std::size_t, Stream) noexcept override {
    ++calls;
    const std::lock_guard lock(mutex_);
    std::erase_if(buffers_, [pointer](const auto& buffer) { return buffer->data() == pointer; });
  }
  std::atomic<int> calls{0};

 private:
  Context source_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
};

/// Voxelizer, map and four layers under a capacity.
class Pipeline {
 public:
  static constexpr std::array<std::int64_t, 5> channels{columns, 16, 32, 32, 16};

  Pipeline(const Context& context_, std::int64_t max_points, std::int64_t capacity_)
      : context(context_), capacity(capacity_) {
    options = {.max_points = max_points,
               .max_voxels = capacity,
               .columns = columns,
               .low = {-51.2F, -51.2F, -5},
               .voxel_size = {0.2F, 0.2F, 0.2F},
               .grid = {1, 512, 512, 40},
               .dtype = DType::f16};
    voxelizer = context.voxelizer(options);
    map = context.frame_map(capacity, options.grid);
    points = context.allocate(static_cast<std::size_t>(max_points * columns) * sizeof(float));
    counts = context.allocate(2 * sizeof(std::int32_t));
    coords = context.allocate(static_cast<std::size_t>(capacity) * 4 * sizeof(std::int32_t));
    for (std::size_t layer = 0; layer < 5; ++layer) {
      feats.push_back(context.allocate(static_cast<std::size_t>(capacity * channels[layer]) * sizeof(f16)));
      if (layer == 4) break;
      const std::int64_t count = channels[layer + 1] * 27 * channels[layer];
      std::vector<f16> values(static_cast<std::size_t>(count));
      const double deviation = 2.0 / std::sqrt(static_cast<double>(9 * channels[layer]));
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = to_f16(static_cast<float>(op_test::random_normal(layer, i) * deviation));
      weights.push_back(context.allocate(values.size() * sizeof(f16)));
      context.copy_to_device(weights.back().data(), values.data(), weights.back().bytes());
      convs.push_back(context.conv3d({.in_channels = channels[layer],
                                      .out_channels = channels[layer + 1],
                                      .dtype = DType::f16,
                                      .epilogue = {.activation = Activation::relu}}));
      plans.push_back(convs.back().freeze(map.map(), {}));
    }
  }

  void upload(const std::vector<float>& values, Stream stream = {}) {
    const auto count = static_cast<std::int32_t>(values.size() / columns);
    context.copy_to_device(points.data(), values.data(), values.size() * sizeof(float), stream);
    context.copy_to_device(counts.data(), &count, sizeof(count), stream);
  }
  ConstTensorView point_count() const { return {counts.data(), DType::i32, {1}}; }
  TensorView voxel_count() const { return {static_cast<std::int32_t*>(counts.data()) + 1, DType::i32, {1}}; }
  TensorView features(std::size_t layer, std::int64_t rows) const {
    return {feats[layer].data(), DType::f16, {rows, channels[layer]}};
  }
  ConstTensorView weight(std::size_t layer) const {
    return {weights[layer].data(), DType::f16, {channels[layer + 1], 3, 3, 3, channels[layer]}};
  }
  /// Everything of a frame, enqueued.
  void run(Stream stream = {}) const {
    voxelizer.run({points.data(), DType::f32, {options.max_points, columns}}, point_count(),
                  {coords.data(), DType::i32, {capacity, 4}}, features(0, capacity), voxel_count(), stream);
    map.build({coords.data(), DType::i32, {capacity, 4}}, voxel_count(), stream);
    for (std::size_t layer = 0; layer < 4; ++layer)
      plans[layer].forward(features(layer, capacity), weight(layer), {}, features(layer + 1, capacity), {},
                           stream);
  }
  std::int64_t voxels(Stream stream = {}) const {
    std::int32_t count = 0;
    context.copy_to_host(&count, voxel_count().data, sizeof(count), stream);
    return count;
  }
  std::vector<std::uint16_t> download(std::size_t layer, std::int64_t rows) const {
    std::vector<std::uint16_t> bits(static_cast<std::size_t>(rows * channels[layer]));
    context.copy_to_host(bits.data(), feats[layer].data(), bits.size() * sizeof(f16));
    return bits;
  }

  Context context;
  std::int64_t capacity;
  VoxelizerOptions options;
  Voxelizer voxelizer;
  FrameMap map;
  Buffer points, counts, coords;
  std::vector<Buffer> feats, weights;
  std::vector<Conv3d> convs;
  std::vector<Plan> plans;
};

/// The four layers of the frame at hand by an ordinary map of its voxels, with the plans' kernels: the last
/// layer's features.
inline std::vector<std::uint16_t> eager_result(const Pipeline& pipeline, std::int64_t rows) {
  const Context& context = pipeline.context;
  const NeighborMap map =
      context.submanifold_map({pipeline.coords.data(), DType::i32, {rows, 4}}, pipeline.options.grid);
  std::vector<Buffer> feats;
  const void* input = pipeline.feats[0].data();
  for (std::size_t layer = 0; layer < 4; ++layer) {
    const std::int64_t in = Pipeline::channels[layer];
    const std::int64_t out = Pipeline::channels[layer + 1];
    feats.push_back(context.allocate(static_cast<std::size_t>(rows * out) * sizeof(f16)));
    const Plan plan = pipeline.convs[layer].freeze(map, {.like = &pipeline.plans[layer]});
    plan.forward({input, DType::f16, {rows, in}}, pipeline.weight(layer), {},
                 {feats.back().data(), DType::f16, {rows, out}});
    context.synchronize();
    input = feats.back().data();
  }
  std::vector<std::uint16_t> bits(static_cast<std::size_t>(rows * Pipeline::channels[4]));
  context.copy_to_host(bits.data(), input, bits.size() * sizeof(f16));
  return bits;
}

}  // namespace flexgemm::frames_test
