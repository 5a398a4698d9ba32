#include <algorithm>
#include <map>
#include <memory>
#include <mutex>

#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "frames/pipeline.hpp"

using namespace flexgemm;
using namespace flexgemm::frames_test;

namespace {

/// The CPU, then the first GPU if there is one.
Device each_device() {
  const int device = GENERATE(range(0, 1 + std::min(cuda_device_count(), 1)));
  return device == 0 ? Device::cpu() : Device::cuda(0);
}

std::vector<std::int32_t> download(const Context& context, const void* data, std::size_t count) {
  std::vector<std::int32_t> values(count);
  context.copy_to_host(values.data(), data, count * sizeof(std::int32_t));
  return values;
}

/// What the voxelizer promises, said plainly.
std::map<std::array<std::int32_t, 3>, std::array<double, columns + 1>> expected_voxels(
    const std::vector<float>& points, const VoxelizerOptions& options) {
  std::map<std::array<std::int32_t, 3>, std::array<double, columns + 1>> voxels;
  const std::array<std::int32_t, 3> extents{options.grid.x, options.grid.y, options.grid.z};
  for (std::size_t i = 0; i + columns <= points.size(); i += columns) {
    std::array<std::int32_t, 3> cell{};
    bool inside = true;
    for (std::size_t c = 0; c < columns; ++c) inside = inside && std::isfinite(points[i + c]);
    for (std::size_t axis = 0; inside && axis < 3; ++axis) {
      const float index = std::floor((points[i + axis] - options.low[axis]) / options.voxel_size[axis]);
      inside = index >= 0 && index < static_cast<float>(extents[axis]);
      if (inside) cell[axis] = static_cast<std::int32_t>(index);
    }
    if (!inside) continue;
    std::array<double, columns + 1>& sums = voxels[cell];
    for (std::size_t c = 0; c < columns; ++c) sums[c] += static_cast<double>(points[i + c]);
    ++sums[columns];
  }
  return voxels;
}

}  // namespace

TEST_CASE("voxels are the cells of the points in their order, with the mean of their points") {
  const Context context = Context::open(each_device());
  Pipeline pipeline(context, 30000, 20000);
  std::vector<float> points = FrameSource(30000).points(2);
  points[4] = NAN;
  points[9] = INFINITY;
  points[12] = 1000;
  pipeline.upload(points);
  pipeline.run();
  const auto expected = expected_voxels(points, pipeline.options);
  REQUIRE(pipeline.voxels() == static_cast<std::int64_t>(expected.size()));
  const auto coords = download(context, pipeline.coords.data(), expected.size() * 4);
  const auto feats = pipeline.download(0, static_cast<std::int64_t>(expected.size()));
  std::size_t voxel = 0;
  for (const auto& [cell, sums] : expected) {
    REQUIRE(coords[voxel * 4] == 0);
    REQUIRE(
        std::equal(cell.begin(), cell.end(), coords.begin() + static_cast<std::ptrdiff_t>(voxel * 4 + 1)));
    for (std::size_t c = 0; c < columns; ++c)
      REQUIRE(feats[voxel * columns + c] == to_f16(static_cast<float>(sums[c] / sums[columns])).bits);
    ++voxel;
  }
  CHECK(!pipeline.voxelizer.overflowed());
}

TEST_CASE("the frames of a stream give the bits of ordinary maps and convolutions, frame after frame") {
  const Context context = Context::open(each_device());
  // A GPU's map of more than 50,000 rows looks its neighbors up in another kind of table.
  const std::int64_t capacity = GENERATE(25'000, 60'000);
  Pipeline pipeline(context, 30000, capacity);
  const FrameSource source(30000);
  for (int frame = 0; frame < 12; ++frame) {
    CAPTURE(context.description(), frame);
    pipeline.upload(source.points(frame));
    pipeline.run();
    context.synchronize();
    const std::int64_t rows = pipeline.voxels();
    const FrameStatus status = pipeline.map.status();
    REQUIRE(status.rows == rows);
    REQUIRE(!status.overflow);
    const NeighborMap ordinary =
        context.submanifold_map({pipeline.coords.data(), DType::i32, {rows, 4}}, pipeline.options.grid);
    REQUIRE(status.pairs == ordinary.pairs());
    const auto entries = static_cast<std::size_t>(rows * 27);
    REQUIRE(download(context, pipeline.map.map().indices().data, entries) ==
            download(context, ordinary.indices().data, entries));
    REQUIRE(pipeline.download(4, rows) == eager_result(pipeline, rows));
  }
}

TEST_CASE("frames of the outdoor scan give the bits of ordinary maps and convolutions") {
  const std::string path = test::shared_scan(FrameSource::outdoor);
  const Context context = Context::open(each_device());
  const scene::PointCloud scan = scene::read_point_cloud(path, {});
  const FrameSource source(30000);
  Pipeline pipeline(context, 30000, 25000);
  int frames = 0;
  std::int64_t largest = 0;
  for (int frame = 0; frame < 24; ++frame) {
    if (source.scan_of(frame) != FrameSource::outdoor) continue;
    CAPTURE(context.description(), frame);
    const std::vector<float> points = source.points(frame);
    // The window is the scan's own: its first point is in the file, with those that follow it.
    if (!points.empty()) {
      const auto first =
          std::search(scan.values.begin(), scan.values.end(), points.begin(), points.begin() + 3);
      REQUIRE(first != scan.values.end());
      const auto last = first + static_cast<std::ptrdiff_t>(points.size() / columns * 3);
      REQUIRE(std::equal(points.end() - columns, points.end() - columns + 3, last - 3));
    }
    pipeline.upload(points);
    pipeline.run();
    context.synchronize();
    const std::int64_t rows = pipeline.voxels();
    REQUIRE(rows == static_cast<std::int64_t>(expected_voxels(points, pipeline.options).size()));
    REQUIRE(!pipeline.map.status().overflow);
    REQUIRE(pipeline.download(4, rows) == eager_result(pipeline, rows));
    largest = std::max(largest, rows);
    ++frames;
  }
  CHECK(frames >= 6);
  CHECK(largest > 2000);
}

TEST_CASE("every algorithm serves a frame map with an ordinary map's bits") {
  const Context context = Context::open(each_device());
  const Algorithm algorithm =
      GENERATE(Algorithm::automatic, Algorithm::explicit_gemm, Algorithm::implicit_gemm,
               Algorithm::implicit_gemm_splitk, Algorithm::masked_implicit_gemm,
               Algorithm::masked_implicit_gemm_splitk);
  Pipeline pipeline(context, 20000, 20000);
  pipeline.upload(FrameSource(20000).points(1));
  pipeline.run();
  const std::int64_t rows = pipeline.voxels();
  CAPTURE(context.description(), name(algorithm), rows);
  const Conv3d conv =
      context.conv3d({.in_channels = 16, .out_channels = 32, .dtype = DType::f16, .algorithm = algorithm});
  const Plan plan = conv.freeze(pipeline.map.map());
  pipeline.run();  // with the plan's layout
  plan.forward(pipeline.features(1, pipeline.capacity), pipeline.weight(1), {},
               pipeline.features(2, pipeline.capacity));
  context.synchronize();
  const auto by_frame = pipeline.download(2, rows);
  const NeighborMap ordinary =
      context.submanifold_map({pipeline.coords.data(), DType::i32, {rows, 4}}, pipeline.options.grid);
  const Plan like = conv.freeze(ordinary, {.like = &plan});
  like.forward(pipeline.features(1, rows), pipeline.weight(1), {}, pipeline.features(2, rows));
  context.synchronize();
  CHECK(pipeline.download(2, rows) == by_frame);
}

TEST_CASE("a frame larger than the capacity loses its last rows, says so, and harms nothing") {
  const Context context = Context::open(each_device());
  Pipeline small(context, 30000, 500);
  Pipeline large(context, 30000, 25000);
  const std::vector<float> points = FrameSource(30000).points(2);
  small.upload(points);
  small.run();
  large.upload(points);
  large.run();
  const std::int64_t wanted = large.voxels();
  REQUIRE(wanted > 500);
  FrameStatus status = small.map.status();
  CHECK(status.rows == 500);
  CHECK(status.overflow);
  CHECK(status.wanted == wanted);
  CHECK(small.voxelizer.overflowed());
  CHECK(!large.voxelizer.overflowed());
  CHECK(download(context, small.coords.data(), 2000) == download(context, large.coords.data(), 2000));
  CHECK(small.download(4, 500) == eager_result(small, 500));
  small.upload({});
  small.run();
  status = small.map.status();
  CHECK(status.rows == 0);
  CHECK(status.overflow);  // until it is forgotten
  small.map.reset_status();
  small.voxelizer.reset();
  CHECK(!small.map.status().overflow);
  CHECK(small.map.status().wanted == 0);
  CHECK(!small.voxelizer.overflowed());
}

TEST_CASE("counts that no program should write are cut to what there is") {
  const Context context = Context::open(each_device());
  const FrameMap map = context.frame_map(4, {1, 8, 8, 8}, {.unique = false});
  const Buffer coords = context.allocate(4 * 4 * sizeof(std::int32_t));
  const std::vector<std::int32_t> voxels{0, 1, 1, 1, 0, 1, 1, 2,
                                         0, 9, 9, 9, 0, 1, 1, 1};  // outside, repeated
  context.copy_to_device(coords.data(), voxels.data(), coords.bytes());
  const Buffer count = context.allocate(sizeof(std::int32_t));
  const auto build = [&](std::int32_t value) {
    context.copy_to_device(count.data(), &value, sizeof(value));
    map.build({coords.data(), DType::i32, {4, 4}}, {count.data(), DType::i32, {1}});
    return map.status();
  };
  CHECK(map.status().rows == 0);
  CHECK(build(2).pairs == 4);
  CHECK(build(-5).rows == 0);
  CHECK(build(4).pairs == 6);  // the repeated voxel sees the first two, nobody sees it
  CHECK(!map.status().overflow);
  CHECK(build(2147483647).rows == 4);
  CHECK(map.status().overflow);
}

TEST_CASE("frame maps and voxelizers refuse what they cannot serve") {
  const Context context = Context::open(Device::cpu());
  const auto refused = [](const auto& call, const std::string& text) {
    try {
      call();
      FAIL_CHECK("no error; expected " << text);
    } catch (const Error& error) {
      CHECK_THAT(error.what(), Catch::Matchers::ContainsSubstring(text));
    }
  };
  const Grid grid{1, 8, 8, 8};
  refused([&] { context.frame_map(0, grid); }, "capacity of a frame map is 0");
  refused([&] { context.frame_map(4, {1, 0, 1, 1}); }, "every extent must be at least 1");
  refused([&] { context.frame_map(4, grid, {.kernel = {9, 1, 1}}); }, "9x1x1");
  refused([&] { context.frame_map(4, grid, {.pairs_per_row = -1}); }, "pairs_per_row is -1");
  const FrameMap map = context.frame_map(4, grid);
  CHECK(map.capacity() == 4);
  std::int32_t memory[17] = {};
  refused(
      [&] {
        map.build({memory, DType::i32, {5, 4}}, {memory + 16, DType::i32, {1}});
      },
      "coords has the shape [5, 4]");
  refused(
      [&] {
        map.build({memory, DType::i32, {4, 4}}, {memory + 16, DType::f32, {1}});
      },
      "count holds f32");
  const Conv3d conv = context.conv3d({.in_channels = 1, .out_channels = 1});
  refused([&] { conv.freeze(map.map(), {.input_gradient = true}); }, "forward alone");
  refused([&] { conv.backward(map.map(), {}, {}, {}, {}); }, "forward alone");
  refused([&] { static_cast<void>(conv.tune(map.map(), {})); }, "tune on a NeighborMap");
  const VoxelizerOptions good{.max_points = 10, .max_voxels = 10, .grid = grid};
  CHECK_NOTHROW(context.voxelizer(good));
  const auto spoiled = [&](const auto& spoil, const std::string& text) {
    VoxelizerOptions options = good;
    spoil(options);
    refused([&] { context.voxelizer(options); }, text);
  };
  spoiled([](VoxelizerOptions& o) { o.max_points = 0; }, "max_points is 0");
  spoiled([](VoxelizerOptions& o) { o.max_voxels = -1; }, "max_voxels is -1");
  spoiled([](VoxelizerOptions& o) { o.columns = 2; }, "columns is 2");
  spoiled([](VoxelizerOptions& o) { o.voxel_size[1] = 0; }, "voxel size along y is 0");
  spoiled([](VoxelizerOptions& o) { o.low[2] = NAN; }, "along z");
  spoiled([](VoxelizerOptions& o) { o.grid.batch = 2; }, "batch 2");
  spoiled([](VoxelizerOptions& o) { o.grid = {1, 2147483647, 2147483647, 2147483647}; }, "2^62");
  spoiled([](VoxelizerOptions& o) { o.dtype = DType::i32; }, "i32");
}
