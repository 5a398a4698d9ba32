#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <flexgemm/error.hpp>

#include "scene/shared_scan.hpp"
#include "scene/voxel_scene.hpp"

using namespace flexgemm::scene;
using Catch::Matchers::ContainsSubstring;
using flexgemm::test::shared_scan;

namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinite = std::numeric_limits<float>::infinity();

PointCloud random_cloud(int points, int columns, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-5, 5);
  PointCloud cloud;
  cloud.columns = columns;
  for (int i = 0; i < points * columns; ++i) cloud.values.push_back(uniform(generator));
  return cloud;
}

std::string message_of(const PointCloud& cloud, const VoxelizeOptions& options) {
  try {
    voxelize(cloud, options);
  } catch (const flexgemm::Error& error) {
    CHECK(error.code() == flexgemm::ErrorCode::invalid_argument);
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("the outdoor scan has 125,562 voxels of 0.1 m") {
  const PointCloud cloud = read_point_cloud(shared_scan("outdoor-lidar.npz"));
  CHECK(cloud.points() == 198130);
  CHECK(cloud.columns == 3);
  const VoxelScene scene = voxelize(cloud, {.range = Range{{-80, -80, -2}, {80, 80, 6}}});
  CHECK(scene.voxels() == 125562);
  CHECK(scene.points == 198130);
  CHECK((scene.grid.x == 1600 && scene.grid.y == 1600 && scene.grid.z == 80));
}

TEST_CASE("the KITTI frame has 13,092 voxels of 0.05 x 0.05 x 0.1 m") {
  const PointCloud cloud = read_point_cloud(shared_scan("kitti-000008.bin"), {.bin_columns = 4});
  CHECK(cloud.points() == 17238);
  const VoxelScene scene =
      voxelize(cloud, {.voxel_size = {0.05, 0.05, 0.1}, .range = Range{{0, -40, -3}, {70.4, 40, 1}}});
  CHECK(scene.voxels() == 13092);
  CHECK(scene.feature_columns == 4);
  CHECK((scene.grid.x == 1408 && scene.grid.y == 1600 && scene.grid.z == 40));
}

TEST_CASE("features are the means of the voxel's points, voxels in the order of their cells") {
  const PointCloud cloud = random_cloud(5000, 5, 1);
  const VoxelScene scene =
      voxelize(cloud, {.voxel_size = {0.5, 0.25, 2}, .range = Range{{-4, -4, -4}, {4, 3, 5}}});
  std::map<std::array<int, 3>, std::pair<std::vector<double>, int>> expected;
  std::int64_t outside = 0;
  for (std::int64_t i = 0; i < cloud.points(); ++i) {
    const float* p = &cloud.values[static_cast<std::size_t>(5 * i)];
    if (p[0] < -4 || p[0] >= 4 || p[1] < -4 || p[1] >= 3 || p[2] < -4 || p[2] >= 5) {
      ++outside;
      continue;
    }
    auto& [sum, count] = expected[{static_cast<int>(std::floor((p[0] + 4.0f) / 0.5f)),
                                   static_cast<int>(std::floor((p[1] + 4.0f) / 0.25f)),
                                   static_cast<int>(std::floor((p[2] + 4.0f) / 2.0f))}];
    sum.resize(5);
    for (std::size_t c = 0; c < 5; ++c) sum[c] += p[c];
    ++count;
  }
  CHECK(scene.dropped_out_of_range == outside);
  REQUIRE(scene.voxels() == static_cast<std::int64_t>(expected.size()));
  std::size_t row = 0;
  for (const auto& [cell, mean] : expected) {  // the map is in x, y, z order
    REQUIRE(scene.coords[4 * row] == 0);
    for (std::size_t axis = 0; axis < 3; ++axis) REQUIRE(scene.coords[4 * row + 1 + axis] == cell[axis]);
    for (std::size_t c = 0; c < 5; ++c)
      REQUIRE(scene.feats[5 * row + c] == static_cast<float>(mean.first[c] / mean.second));
    ++row;
  }
}

TEST_CASE("without a range the grid is the bounding box and no finite point is lost") {
  PointCloud cloud = random_cloud(3000, 4, 2);
  cloud.values[1] = not_a_number;
  cloud.values[4 * 7 + 3] = infinite;  // a feature, not a coordinate
  const VoxelScene scene = voxelize(cloud, {.voxel_size = {0.1, 0.2, 0.3}});
  CHECK(scene.dropped_not_finite == 2);
  CHECK(scene.dropped_out_of_range == 0);
  CHECK((scene.grid.x >= 99 && scene.grid.x <= 101));
  for (std::size_t i = 0; i < scene.coords.size(); i += 4) {
    REQUIRE((scene.coords[i + 1] >= 0 && scene.coords[i + 1] < scene.grid.x));
    REQUIRE((scene.coords[i + 2] >= 0 && scene.coords[i + 2] < scene.grid.y));
    REQUIRE((scene.coords[i + 3] >= 0 && scene.coords[i + 3] < scene.grid.z));
  }
}

TEST_CASE("the lower corner is inside, the upper corner outside, what rounds beyond is in the last cell") {
  const float below = std::nextafter(1.0f, 0.0f);
  const PointCloud cloud{{0, 0, 0, 1, 0.5f, 0.5f, below, below, below, 0.5f, 0.5f, -1e-9f}, 3};
  const VoxelScene scene = voxelize(cloud, {.range = Range{{0, 0, 0}, {1, 1, 1}}});
  CHECK(scene.dropped_out_of_range == 2);
  CHECK(scene.coords == std::vector<std::int32_t>{0, 0, 0, 0, 0, 9, 9, 9});
  CHECK(scene.grid.x == 10);
}

TEST_CASE("no points, only NaN points and only points out of range give an empty scene with a valid grid") {
  const std::vector<PointCloud> clouds{{{}, 3}, {{not_a_number, 0, 0, 0, infinite, 0}, 3}, {{50, 50, 50}, 3}};
  for (const PointCloud& cloud : clouds)
    for (const bool ranged : {true, false}) {
      if (!ranged && cloud.points() == 1) continue;
      VoxelizeOptions options;
      if (ranged) options.range = Range{{0, 0, 0}, {1, 1, 1}};
      const VoxelScene scene = voxelize(cloud, options);
      CHECK(scene.voxels() == 0);
      CHECK(scene.feats.empty());
      CHECK((scene.grid.x >= 1 && scene.grid.y >= 1 && scene.grid.z >= 1));
      CHECK(scene.dropped_not_finite + scene.dropped_out_of_range == cloud.points());
    }
}

TEST_CASE("grids beyond 2^64 cells keep distinct cells apart and in order") {
  const PointCloud cloud{{2e6f, 1, 1, 1, 2e6f, 1, 1, 1, 2e6f, 1, 1, 2e6f, 2e6f, 1, 1, 0, 0, 0}, 3};
  const VoxelScene scene =
      voxelize(cloud, {.voxel_size = {1e-3, 1e-3, 1e-3}, .range = Range{{0, 0, 0}, {2.1e6, 2.1e6, 2.1e6}}});
  CHECK(scene.grid.x == 2100000000);
  REQUIRE(scene.voxels() == 4);
  std::vector<std::array<std::int32_t, 4>> cells(4);
  for (std::size_t i = 0; i < 16; ++i) cells[i / 4][i % 4] = scene.coords[i];
  CHECK(std::is_sorted(cells.begin(), cells.end()));
  CHECK(scene.feats[3 * 2] == 1);  // the voxel that two points share stands behind the two others with low x
}

TEST_CASE("voxel sizes, ranges and grids that make no sense are refused with their values") {
  const PointCloud cloud{{0, 0, 0, 1000, 1, 1}, 3};
  CHECK_THAT(message_of(cloud, {.voxel_size = {0.1, 0, 0.1}}), ContainsSubstring("along y is 0"));
  CHECK_THAT(message_of(cloud, {.voxel_size = {-0.5, 1, 1}}), ContainsSubstring("-0.5"));
  CHECK_THAT(message_of(cloud, {.voxel_size = {1, 1, not_a_number}}), ContainsSubstring("nan"));
  CHECK_THAT(message_of(cloud, {.voxel_size = {1, infinite, 1}}), ContainsSubstring("inf"));
  CHECK_THAT(message_of(cloud, {.voxel_size = {1, 1, 1e-300}}), ContainsSubstring("1e-300"));
  CHECK_THAT(message_of(cloud, {.range = Range{{0, 0, 5}, {1, 1, 4}}}), ContainsSubstring("5 to 4"));
  CHECK_THAT(message_of(cloud, {.range = Range{{0, 0, 0}, {1, 0, 1}}}), ContainsSubstring("along y"));
  CHECK_THAT(message_of(cloud, {.range = Range{{0, 0, not_a_number}, {1, 1, 1}}}), ContainsSubstring("nan"));
  CHECK_THAT(message_of(cloud, {.range = Range{{0, 0, 0}, {1, 1, infinite}}}), ContainsSubstring("inf"));
  CHECK_THAT(message_of(cloud, {.voxel_size = {1e-7, 1, 1}}), ContainsSubstring("2147483647"));
  CHECK_THAT(message_of({{1, 2, 3, 4}, 3}, {}), ContainsSubstring("4 values with 3 columns"));
}
