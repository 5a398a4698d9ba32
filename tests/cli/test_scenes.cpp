#include <limits>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "run_program.hpp"
#include "scene/shared_scan.hpp"
#include "scene_files.hpp"

using namespace flexgemm::test;

namespace {

void check_verified(const nlohmann::json& result) {
  CHECK(result["verified"] == true);
  CHECK(result["map_mismatches"] == 0);
  CHECK(result["verify"].size() == result["layers"].size());
  for (const nlohmann::json& error : result["verify"]) {
    CHECK(error.get<double>() <= result["tolerance"].get<double>());
  }
}

}  // namespace

TEST_CASE("the outdoor scan has 125562 voxels and 788888 pairs, and its features verify") {
  const nlohmann::json result =
      flexgemm_run_json({shared_scan("outdoor-lidar.npz"), "--voxel-size", "0.1",
                         "--range=-80,-80,-2,80,80,6", "--channels", "32,32", "--verify"});
  CHECK(result["points"] == 198130);
  CHECK(result["voxels"] == 125562);
  CHECK(result["pairs"] == 788888);
  CHECK(result["verified_rows"] == 125562);
  check_verified(result);
}

TEST_CASE("the KITTI frame has 13092 voxels and 55906 pairs, and its features verify") {
  const nlohmann::json result =
      flexgemm_run_json({shared_scan("kitti-000008.bin"), "--columns", "4", "--voxel-size", "0.05,0.05,0.1",
                         "--range=0,-40,-3,70.4,40,1", "--verify"});
  CHECK(result["points"] == 17238);
  CHECK(result["voxels"] == 13092);
  CHECK(result["pairs"] == 55906);
  CHECK(result["layers"][0]["ci"] == 4);
  check_verified(result);
}

TEST_CASE("spheres have the voxels and pairs of the benchmark's shells") {
  const nlohmann::json small = flexgemm_run_json({"sphere:32", "--verify"});
  CHECK(small["voxels"] == 3840);
  CHECK(small["pairs"] == 50304);
  check_verified(small);
  const nlohmann::json large = flexgemm_run_json({"sphere:256", "--channels", "8"});
  CHECK(large["voxels"] == 252392);
  CHECK(large["pairs"] == 3203048);
}

TEST_CASE("a generated street scan runs and verifies in every type") {
  const std::string dtype = GENERATE("f32", "tf32", "f16", "bf16");
  CAPTURE(dtype);
  const nlohmann::json result = flexgemm_run_json(
      {"lidar:1", "--voxel-size", "0.2", "--channels", "16,24", "--dtype", dtype, "--verify"});
  CHECK(result["dtype"] == dtype);
  CHECK(result["voxels"].get<int>() > 1000);
  check_verified(result);
}

TEST_CASE("kernels that are even, not cubic or dilated verify") {
  const std::vector<std::string> shape =
      GENERATE(std::vector<std::string>{"--kernel", "2"}, std::vector<std::string>{"--kernel", "3,1,5"},
               std::vector<std::string>{"--dilation", "2,1,3"}, std::vector<std::string>{"--kernel", "1"});
  CAPTURE(shape);
  std::vector<std::string> arguments{"sphere:24", "--channels", "7,5", "--verify"};
  arguments.insert(arguments.end(), shape.begin(), shape.end());
  check_verified(flexgemm_run_json(arguments));
}

TEST_CASE("every pinned algorithm of the CPU runs by its name and verifies") {
  const std::string algorithm = GENERATE("explicit_gemm", "implicit_gemm", "implicit_gemm_splitk",
                                         "masked_implicit_gemm", "masked_implicit_gemm_splitk");
  const nlohmann::json result = flexgemm_run_json(
      {"sphere:32", "--device", "cpu", "--channels", "16,8", "--algorithm", algorithm, "--verify"});
  for (const nlohmann::json& layer : result["layers"]) CHECK(layer["algorithm"] == algorithm);
  check_verified(result);
}

TEST_CASE("a scene too large for the reference is verified on a sample of at least 512 rows") {
  const nlohmann::json result =
      flexgemm_run_json({"sphere:96", "--kernel", "7", "--channels", "4,4", "--verify"});
  CHECK(result["verified_rows"].get<int>() >= 512);
  CHECK(result["verified_rows"] < result["voxels"]);
  check_verified(result);
}

TEST_CASE("points with NaN or infinite values are dropped and counted") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const ScratchFolder folder;
  const std::string scan = folder.write_floats(
      "scan.bin", {0, 0, 0, 1, nan, 0, 0, 1, 0.5, 0.5, 0.5, 1, 0, infinity, 0, 1, 0, 0, 0, nan, 9, 9, 9, 1});
  const nlohmann::json result = flexgemm_run_json({scan, "--range", "-1,-1,-1,1,1,1", "--verify"});
  CHECK(result["points"] == 6);
  CHECK(result["dropped_not_finite"] == 3);
  CHECK(result["dropped_out_of_range"] == 1);
  CHECK(result["voxels"] == 2);
  check_verified(result);
}

TEST_CASE("a scene without points, or with all points out of range, is an empty result") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const ScratchFolder folder;
  const std::vector<std::string> scans{
      folder.write("empty.npy", npy_of(0, 4, {})), folder.write("empty.bin", ""),
      folder.write_floats("far.bin", {5, 5, 5, 0}), folder.write_floats("nan.bin", {nan, 0, 0, 0})};
  const std::string& scan = scans[GENERATE(0U, 1U, 2U, 3U)];
  CAPTURE(scan);
  const std::string out = folder / "out";
  const nlohmann::json result =
      flexgemm_run_json({scan, "--range", "0,0,0,1,1,1", "--channels", "8,6", "--verify", "--out", out});
  CHECK(result["voxels"] == 0);
  CHECK(result["pairs"] == 0);
  CHECK(result["pairs_per_voxel"] == 0);
  CHECK(result["verified_rows"] == 0);
  for (const nlohmann::json& layer : result["layers"]) CHECK(layer["gflops"] == 0);
  check_verified(result);
  const NpyArray<float> feats = read_npy<float>(out + "/feats.npy");
  CHECK(feats.rows == 0);
  CHECK(feats.columns == 6);
  const NpyArray<std::int32_t> coords = read_npy<std::int32_t>(out + "/coords.npy");
  CHECK(coords.rows == 0);
  CHECK(coords.columns == 4);
}

TEST_CASE("a scene without points and without a range is an empty result, and the table says so") {
  const ScratchFolder folder;
  const ProgramRun run = flexgemm_run({folder.write("empty.npy", npy_of(0, 3, {})), "--verify"});
  CHECK(run.exit_code == 0);
  CHECK(run.err == "");
  CHECK(run.out.find("voxels                        0\n") != std::string::npos);
}
