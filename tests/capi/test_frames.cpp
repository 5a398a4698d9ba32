// Voxelizers and frame maps through the C interface: the bits of ordinary maps and convolutions on frames of
// different size, and the error paths.
#include <random>

#include "capi/support.hpp"

using namespace flexgemm;
using namespace flexgemm::capi_test;

namespace flexgemm::capi_test {
struct DestroyFrames : Destroy {
  using Destroy::operator();
  void operator()(flexgemm_frame_map* handle) const { flexgemm_frame_map_destroy(handle); }
  void operator()(flexgemm_voxelizer* handle) const { flexgemm_voxelizer_destroy(handle); }
};
}  // namespace flexgemm::capi_test

namespace {

constexpr std::int64_t max_points = 3000;
constexpr std::int64_t capacity = 1500;
constexpr std::int32_t extent = 24;

/// Voxelize, map and one layer, on the CPU, where device memory is the host's.
struct Pipeline {
  Pipeline() {
    auto options = zeroed<flexgemm_voxelizer_options>();
    options.max_points = max_points;
    options.max_voxels = capacity;
    options.low[0] = options.low[1] = options.low[2] = -6;
    options.voxel_size[0] = options.voxel_size[1] = options.voxel_size[2] = 0.5F;
    options.extent[0] = options.extent[1] = options.extent[2] = extent;
    flexgemm_voxelizer* made_voxelizer = nullptr;
    require_ok(flexgemm_voxelizer_create(context.get(), &options, nullptr, &made_voxelizer));
    voxelizer.reset(made_voxelizer);
    grid.batch = 1;
    grid.x = grid.y = grid.z = extent;
    flexgemm_frame_map* made_frames = nullptr;
    require_ok(flexgemm_frame_map_create(context.get(), capacity, &grid, nullptr, nullptr, &made_frames));
    frames.reset(made_frames);
    auto conv_options = zeroed<flexgemm_conv3d_options>();
    conv_options.in_channels = 4;
    conv_options.out_channels = 8;
    flexgemm_conv3d* made_conv = nullptr;
    require_ok(flexgemm_conv3d_create(context.get(), &conv_options, &made_conv));
    conv.reset(made_conv);
    flexgemm_map* map = nullptr;
    require_ok(flexgemm_frame_map_get_map(frames.get(), &map));
    const Owned<flexgemm_map> owned(map);
    flexgemm_plan* made_plan = nullptr;
    require_ok(flexgemm_plan_create(conv.get(), map, nullptr, nullptr, &made_plan));
    plan.reset(made_plan);
  }

  void run(std::int32_t point_count, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, 2);
    for (float& value : points) value = normal(random);
    count = point_count;
    require_ok(flexgemm_voxelizer_run(voxelizer.get(), &points_view, &count_view, &coords_view, &feats_view,
                                      &voxels_view, nullptr));
    require_ok(flexgemm_frame_map_build(frames.get(), &coords_view, &voxels_view, nullptr));
    require_ok(flexgemm_plan_forward(plan.get(), &feats_view, &weight_view, &out_view, nullptr, nullptr, 0,
                                     nullptr));
  }

  Owned<flexgemm_context> context = open_cpu();
  std::unique_ptr<flexgemm_voxelizer, DestroyFrames> voxelizer;
  std::unique_ptr<flexgemm_frame_map, DestroyFrames> frames;
  Owned<flexgemm_conv3d> conv;
  Owned<flexgemm_plan> plan;
  flexgemm_grid grid = zeroed<flexgemm_grid>();
  std::vector<float> points = std::vector<float>(max_points * 4);
  std::vector<std::int32_t> coords = std::vector<std::int32_t>(capacity * 4);
  std::vector<float> feats = std::vector<float>(capacity * 4), out = std::vector<float>(capacity * 8);
  op_test::HostTensor weight = op_test::HostTensor::random(DType::f32, {8, 3, 3, 3, 4}, 0.1, 5);
  std::int32_t count = 0, voxels = -1;
  flexgemm_tensor points_view = flexgemm_tensor_2d(points.data(), FLEXGEMM_F32, max_points, 4),
                  count_view = flexgemm_tensor_1d(&count, FLEXGEMM_I32, 1),
                  coords_view = flexgemm_tensor_2d(coords.data(), FLEXGEMM_I32, capacity, 4),
                  feats_view = flexgemm_tensor_2d(feats.data(), FLEXGEMM_F32, capacity, 4),
                  voxels_view = flexgemm_tensor_1d(&voxels, FLEXGEMM_I32, 1), weight_view = view_of(weight),
                  out_view = flexgemm_tensor_2d(out.data(), FLEXGEMM_F32, capacity, 8);
};

}  // namespace

TEST_CASE("frames of different size give the bits of ordinary maps and convolutions") {
  Pipeline stream;
  unsigned seed = 0;
  for (const std::int32_t points : {1000, 1, 400, 0, 1200}) {
    CAPTURE(points);
    stream.run(points, ++seed);
    REQUIRE(stream.voxels >= 0);
    REQUIRE(stream.voxels <= points);
    const std::int64_t rows = stream.voxels;
    const flexgemm_tensor coords = flexgemm_tensor_2d(stream.coords.data(), FLEXGEMM_I32, rows, 4);
    flexgemm_map* made = nullptr;
    require_ok(flexgemm_submanifold_map_create(stream.context.get(), &coords, &stream.grid, nullptr, nullptr,
                                               &made));
    const Owned<flexgemm_map> map(made);
    auto options = zeroed<flexgemm_plan_options>();
    options.like = stream.plan.get();
    flexgemm_plan* made_plan = nullptr;
    require_ok(flexgemm_plan_create(stream.conv.get(), made, &options, nullptr, &made_plan));
    const Owned<flexgemm_plan> plan(made_plan);
    std::vector<float> expected(static_cast<std::size_t>(rows) * 8);
    const flexgemm_tensor feats = flexgemm_tensor_2d(stream.feats.data(), FLEXGEMM_F32, rows, 4);
    const flexgemm_tensor out = flexgemm_tensor_2d(expected.data(), FLEXGEMM_F32, rows, 8);
    require_ok(
        flexgemm_plan_forward(made_plan, &feats, &stream.weight_view, &out, nullptr, nullptr, 0, nullptr));
    CHECK(std::equal(expected.begin(), expected.end(), stream.out.begin()));
    auto status = zeroed<flexgemm_frame_status>();
    require_ok(flexgemm_frame_map_get_status(stream.frames.get(), nullptr, &status));
    std::int64_t pairs = 0;
    require_ok(flexgemm_map_get_pairs(made, &pairs));
    CHECK(status.rows == rows);
    CHECK(status.pairs == pairs);
    CHECK(status.overflow == 0);
  }
}

TEST_CASE("a frame beyond the capacity is noted until the reset") {
  Pipeline stream;
  stream.run(max_points, 1);
  REQUIRE(stream.voxels > capacity);
  auto status = zeroed<flexgemm_frame_status>();
  require_ok(flexgemm_frame_map_get_status(stream.frames.get(), nullptr, &status));
  CHECK(status.rows == capacity);
  CHECK(status.wanted == stream.voxels);
  CHECK(status.overflow == 1);
  std::int32_t overflow = -1;
  require_ok(flexgemm_voxelizer_get_overflow(stream.voxelizer.get(), nullptr, &overflow));
  CHECK(overflow == 1);
  require_ok(flexgemm_voxelizer_reset(stream.voxelizer.get(), nullptr));
  require_ok(flexgemm_frame_map_reset_status(stream.frames.get(), nullptr));
  stream.run(10, 2);
  require_ok(flexgemm_frame_map_get_status(stream.frames.get(), nullptr, &status));
  CHECK(status.overflow == 0);
  CHECK(status.wanted == stream.voxels);
  require_ok(flexgemm_voxelizer_get_overflow(stream.voxelizer.get(), nullptr, &overflow));
  CHECK(overflow == 0);
}

TEST_CASE("frames report wrong arguments in one sentence") {
  Pipeline stream;
  const flexgemm_context* context = stream.context.get();
  flexgemm_frame_map* frames = nullptr;
  flexgemm_voxelizer* voxelizer = nullptr;
  flexgemm_map* map = nullptr;
  std::int32_t overflow = 0;
  auto status = zeroed<flexgemm_frame_status>();
  const auto null = [](const char* argument, flexgemm_status code) {
    CAPTURE(argument);
    check_failure(code, FLEXGEMM_INVALID_ARGUMENT, {"the argument " + std::string(argument) + " is NULL"});
  };
  const flexgemm_tensor *points = &stream.points_view, *count = &stream.count_view,
                        *coords = &stream.coords_view, *feats = &stream.feats_view,
                        *voxels = &stream.voxels_view;
  null("context", flexgemm_frame_map_create(nullptr, 5, &stream.grid, nullptr, nullptr, &frames));
  null("grid", flexgemm_frame_map_create(context, 5, nullptr, nullptr, nullptr, &frames));
  null("frames", flexgemm_frame_map_create(context, 5, &stream.grid, nullptr, nullptr, nullptr));
  null("frames", flexgemm_frame_map_get_map(nullptr, &map));
  null("map", flexgemm_frame_map_get_map(stream.frames.get(), nullptr));
  null("frames", flexgemm_frame_map_build(nullptr, coords, count, nullptr));
  null("frames", flexgemm_frame_map_get_status(nullptr, nullptr, &status));
  null("status", flexgemm_frame_map_get_status(stream.frames.get(), nullptr, nullptr));
  null("frames", flexgemm_frame_map_reset_status(nullptr, nullptr));
  null("context", flexgemm_voxelizer_create(nullptr, nullptr, nullptr, &voxelizer));
  null("options", flexgemm_voxelizer_create(context, nullptr, nullptr, &voxelizer));
  null("voxelizer", flexgemm_voxelizer_create(context, nullptr, nullptr, nullptr));
  null("voxelizer", flexgemm_voxelizer_run(nullptr, points, count, coords, feats, voxels, nullptr));
  null("voxelizer", flexgemm_voxelizer_get_overflow(nullptr, nullptr, &overflow));
  null("overflow", flexgemm_voxelizer_get_overflow(stream.voxelizer.get(), nullptr, nullptr));
  null("voxelizer", flexgemm_voxelizer_reset(nullptr, nullptr));
  flexgemm_frame_map_destroy(nullptr);
  flexgemm_voxelizer_destroy(nullptr);

  check_failure(flexgemm_frame_map_create(context, -1, &stream.grid, nullptr, nullptr, &frames),
                FLEXGEMM_INVALID_ARGUMENT, {"-1"});
  auto options = zeroed<flexgemm_frame_map_options>();
  options.kernel[1] = 9;
  check_failure(flexgemm_frame_map_create(context, 5, &stream.grid, &options, nullptr, &frames),
                FLEXGEMM_INVALID_ARGUMENT, {"9"});
  check_failure(flexgemm_frame_map_build(stream.frames.get(), coords, nullptr, nullptr),
                FLEXGEMM_INVALID_ARGUMENT, {"count"});
  check_failure(flexgemm_frame_map_build(stream.frames.get(), feats, count, nullptr),
                FLEXGEMM_INVALID_ARGUMENT, {"coords"});
  check_failure(
      flexgemm_voxelizer_run(stream.voxelizer.get(), points, count, coords, nullptr, voxels, nullptr),
      FLEXGEMM_INVALID_ARGUMENT, {"feats"});
  auto voxelizer_options = zeroed<flexgemm_voxelizer_options>();
  check_failure(flexgemm_voxelizer_create(context, &voxelizer_options, nullptr, &voxelizer),
                FLEXGEMM_INVALID_ARGUMENT, {"0"});
  voxelizer_options.dtype = 17;
  check_failure(flexgemm_voxelizer_create(context, &voxelizer_options, nullptr, &voxelizer),
                FLEXGEMM_INVALID_ARGUMENT, {"options->dtype is 17"});
  voxelizer_options.reserved = 2;
  check_failure(flexgemm_voxelizer_create(context, &voxelizer_options, nullptr, &voxelizer),
                FLEXGEMM_INVALID_ARGUMENT, {"options->reserved is 2"});
  CHECK(frames == nullptr);
  CHECK(voxelizer == nullptr);
  CHECK(map == nullptr);
}
