
#include <catch2/catch_test_macros.hpp>

#include <flexgemm/error.hpp>

#include "scene/shared_scan.hpp"
#include "scenes.hpp"
#include "suite_scenes.hpp"

using namespace flexgemm;
using namespace flexgemm::bench;

TEST_CASE("the default suite of a GPU is the eight spheres with their channels and layers") {
  const std::vector<SceneRequest> scenes = scene_requests({}, false, false);
  REQUIRE(scenes.size() == 8);
  CHECK(scenes[0].name == "sphere:8");
  CHECK(scenes[0].channels == std::vector<std::int64_t>{1024});
  CHECK(scenes[0].layers == 16);
  CHECK(scenes[4].channels == std::vector<std::int64_t>{512});
  CHECK(scenes[7].name == "sphere:1024");
  CHECK(scenes[7].channels == std::vector<std::int64_t>{64});
  CHECK(scenes[7].layers == 2);
}

TEST_CASE("each scan has its own voxel size and range, or shares the only one") {
  SceneArguments arguments;
  arguments.scenes = {"none"};
  arguments.scans = {"a/outdoor.npz", "b/frame.bin"};
  arguments.voxel_sizes = {"0.1", "0.05,0.05,0.2"};
  arguments.ranges = {"-80,-80,-2,80,80,6"};
  const std::vector<SceneRequest> scenes = scene_requests(arguments, false, false);
  REQUIRE(scenes.size() == 2);
  CHECK(scenes[0].name == "outdoor");
  CHECK(scenes[0].voxelize.voxel_size[2] == 0.1);
  CHECK(scenes[1].voxelize.voxel_size[2] == 0.2);
  REQUIRE(scenes[1].voxelize.range.has_value());
  CHECK(scenes[1].voxelize.range->low[0] == -80);
  CHECK(scenes[1].channels == std::vector<std::int64_t>{16, 32, 64, 128});
}

TEST_CASE("scenes and sizes that make no sense are refused") {
  CHECK_THROWS_AS(parse_scene("sphere:0"), Error);
  CHECK_THROWS_AS(parse_scene("sphere:64x"), Error);
  CHECK_THROWS_AS(parse_scene("cube:64"), Error);
  SceneArguments arguments;
  arguments.scans = {"a", "b", "c"};
  arguments.voxel_sizes = {"0.1", "0.2"};
  CHECK_THROWS_AS(scene_requests(arguments, false, false), Error);
  arguments.voxel_sizes = {"0.1,0.2"};
  CHECK_THROWS_AS(scene_requests(arguments, false, false), Error);
  arguments.voxel_sizes = {"0.1x"};
  CHECK_THROWS_AS(scene_requests(arguments, false, false), Error);
}

TEST_CASE("the outdoor scan has the voxels of the baseline") {
  const std::string path = test::shared_scan("outdoor-lidar.npz");
  SceneArguments arguments;
  arguments.scenes = {"none"};
  arguments.scans = {path};
  arguments.voxel_sizes = {"0.1"};
  arguments.ranges = {"-80,-80,-2,80,80,6"};
  CHECK(load_scene(scene_requests(arguments, false, false)[0]).get().voxels() == 125562);
}
