#include <array>
#include <bit>
#include <cmath>
#include <map>

#include <catch2/catch_test_macros.hpp>

#include <flexgemm/error.hpp>

#include "scene/voxel_scene.hpp"

using namespace flexgemm::scene;

TEST_CASE("sphere scenes have the voxel counts of the seed's benchmark") {
  const std::map<int, std::int64_t> counts{{8, 192},     {16, 848},     {32, 3840},     {64, 15192},
                                           {128, 64160}, {256, 252392}, {512, 1026536}, {1024, 4113056}};
  for (const auto& [resolution, voxels] : counts) CHECK(sphere_scene(resolution).voxels() == voxels);
}

TEST_CASE("a sphere scene holds exactly the voxels of the shell, in order, with their directions") {
  for (const int resolution : {1, 2, 3, 4, 5, 6, 7, 9, 16, 31, 40}) {
    INFO("sphere:" << resolution);
    const VoxelScene scene = sphere_scene(resolution);
    std::size_t row = 0;
    for (int x = 0; x < resolution; ++x)
      for (int y = 0; y < resolution; ++y)
        for (int z = 0; z < resolution; ++z) {
          const std::array<double, 3> offset{x + 0.5 - resolution / 2.0, y + 0.5 - resolution / 2.0,
                                             z + 0.5 - resolution / 2.0};
          const double distance = std::hypot(offset[0], offset[1], offset[2]);
          const double squared = offset[0] * offset[0] + offset[1] * offset[1] + offset[2] * offset[2];
          const double inner = std::max(0.0, resolution / 2.0 - 1.25);  // squares of quarters are exact
          if (squared > resolution * resolution / 4.0 || squared < inner * inner) continue;
          REQUIRE(static_cast<std::int64_t>(row) < scene.voxels());
          const std::array<std::int32_t, 4> found{scene.coords[4 * row], scene.coords[4 * row + 1],
                                                  scene.coords[4 * row + 2], scene.coords[4 * row + 3]};
          REQUIRE(found == std::array<std::int32_t, 4>{0, x, y, z});
          for (std::size_t axis = 0; axis < 3; ++axis) {
            const double expected = distance > 0 ? offset[axis] / distance : 0;
            REQUIRE(std::abs(scene.feats[3 * row + axis] - expected) < 1e-6);
          }
          ++row;
        }
    CHECK(static_cast<std::int64_t>(row) == scene.voxels());
  }
}

TEST_CASE("sphere resolutions outside 1 to 4096 are refused") {
  for (const int resolution : {-1, 0, 4097}) CHECK_THROWS_AS(sphere_scene(resolution), flexgemm::Error);
}

TEST_CASE("a generated street scan looks like one: size, reach, ground and intensities") {
  for (const std::uint64_t seed : {0ull, 1ull, 42ull, ~0ull}) {
    const PointCloud cloud = lidar_scan(seed);
    REQUIRE(cloud.columns == 4);
    CHECK(cloud.points() > 60000);
    CHECK(cloud.points() < 131072);
    std::int64_t ground = 0;
    float farthest = 0;
    for (std::size_t i = 0; i < cloud.values.size(); i += 4) {
      const float* p = &cloud.values[i];
      for (int column = 0; column < 4; ++column) REQUIRE(std::isfinite(p[column]));
      REQUIRE((p[3] >= 0 && p[3] <= 1));
      REQUIRE(p[2] > -2);
      ground += p[2] < -1.5f ? 1 : 0;
      farthest = std::max(farthest, std::hypot(p[0], p[1]));
    }
    CHECK(ground > cloud.points() / 5);
    CHECK(ground < cloud.points() * 4 / 5);
    CHECK((farthest > 60 && farthest < 91));
    const VoxelScene scene = voxelize(cloud, {});
    CHECK(scene.voxels() > 20000);
    CHECK(scene.voxels() < 90000);
  }
}

TEST_CASE("the same seed gives the same scan on every machine, another seed another") {
  // FNV-1a over the bits of the scan: the same for g++ and clang++, with and without optimization.
  const auto fingerprint = [](std::uint64_t seed) {
    std::uint64_t hash = 14695981039346656037u;
    for (const float value : lidar_scan(seed).values)
      hash = (hash ^ std::bit_cast<std::uint32_t>(value)) * 1099511628211u;
    return hash;
  };
  CHECK(fingerprint(0) == fingerprint(0));
  CHECK(fingerprint(0) != fingerprint(1));
  CHECK(fingerprint(1) == 0x9eb655cb7076edbu);
}
