#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "run_program.hpp"

using namespace flexgemm::test;
using Catch::Matchers::ContainsSubstring;

namespace {

std::set<std::string> keys(const nlohmann::json& object) {
  std::set<std::string> result;
  for (const auto& [key, value] : object.items()) result.insert(key);
  return result;
}

std::vector<std::string> stage_names(const nlohmann::json& result) {
  std::vector<std::string> names;
  for (const nlohmann::json& stage : result["stages"]) names.push_back(stage["name"]);
  return names;
}

}  // namespace

TEST_CASE("the option --json prints one object with the documented keys") {
  const nlohmann::json result =
      flexgemm_run_json({"lidar:3", "--voxel-size", "0.4", "--channels", "8,6", "--kernel", "3,1,3",
                         "--dilation", "2", "--seed", "7", "--repeat", "3", "--device", "cpu", "--verify"});
  CHECK(keys(result) == std::set<std::string>{"version",
                                              "device",
                                              "scene",
                                              "dtype",
                                              "kernel",
                                              "dilation",
                                              "seed",
                                              "repeat",
                                              "points",
                                              "voxels",
                                              "dropped_not_finite",
                                              "dropped_out_of_range",
                                              "pairs",
                                              "pairs_per_voxel",
                                              "stages",
                                              "layers",
                                              "verify",
                                              "verified",
                                              "verified_rows",
                                              "map_mismatches",
                                              "tolerance",
                                              "peak_memory_bytes",
                                              "peak_process_bytes"});
  CHECK_THAT(result["device"].get<std::string>(), Catch::Matchers::StartsWith("cpu"));
  CHECK(result["scene"] == "lidar:3");
  CHECK(result["kernel"] == nlohmann::json{3, 1, 3});
  CHECK(result["dilation"] == nlohmann::json{2, 2, 2});
  CHECK(result["seed"] == 7);
  CHECK(result["repeat"] == 3);
  const auto voxels = result["voxels"].get<double>();
  CHECK(result["pairs_per_voxel"].get<double>() == result["pairs"].get<double>() / voxels);
  CHECK(result["points"] >= result["voxels"]);
  CHECK(result["peak_memory_bytes"].get<double>() >= voxels * 8 * 4);

  CHECK(stage_names(result) ==
        std::vector<std::string>{"generate", "voxelize", "upload", "map", "layer 1", "layer 2", "verify"});
  for (const nlohmann::json& stage : result["stages"]) CHECK(stage["ms"].get<double>() > 0);
  REQUIRE(result["layers"].size() == 2);
  std::int64_t in_channels = 4;
  for (const nlohmann::json& layer : result["layers"]) {
    CHECK(keys(layer) == std::set<std::string>{"ci", "co", "algorithm", "kernel", "ms", "gflops"});
    CHECK(layer["ci"] == in_channels);
    CHECK(layer["algorithm"] != "auto");
    const double flop =
        2 * result["pairs"].get<double>() * layer["ci"].get<double>() * layer["co"].get<double>();
    const double expected = flop / (layer["ms"].get<double>() * 1e6);
    CHECK(std::abs(layer["gflops"].get<double>() - expected) <= 1e-9 * expected);
    in_channels = layer["co"];
  }
  CHECK(result["verify"].size() == 2);
}

TEST_CASE("without --verify the keys of the verification are null") {
  const nlohmann::json result = flexgemm_run_json({"sphere:16", "--device", "cpu"});
  for (const char* key : {"verify", "verified", "verified_rows", "map_mismatches", "tolerance"}) {
    CAPTURE(key);
    CHECK(result.at(key).is_null());
  }
  CHECK(stage_names(result) == std::vector<std::string>{"generate", "upload", "map", "layer 1", "layer 2"});
}

TEST_CASE("the table shows the counts and a row a stage") {
  const ProgramRun run = flexgemm_run({"sphere:32", "--device", "cpu", "--channels", "32,64", "--verify"});
  CHECK(run.exit_code == 0);
  CHECK(run.err == "");
  for (const char* words :
       {"device           cpu", "voxels                    3,840\n", "pairs                    50,304\n",
        "pairs per voxel           13.10\n", "time, ms", "GFLOP/s", "peak memory", "\nmap ",
        "\nlayer 1: 3 -> 32 ", "\nlayer 2: 32 -> 64 ", "\nverify ",
        "verified         yes: 3,840 of 3,840 rows"}) {
    CHECK_THAT(run.out, ContainsSubstring(words));
  }
}

TEST_CASE("progress is shown on a terminal's stderr and nowhere else") {
  const std::vector<std::string> arguments{"sphere:16", "--json", "--verify"};
  CHECK(flexgemm_run(arguments).err == "");
  const ProgramRun run = flexgemm_run(arguments, Stderr::terminal);
  CHECK(run.exit_code == 0);
  for (const char* stage :
       {"generate ...", "map ...", "layer 1 of 2 ...", "layer 2 of 2 ...", "verify ..."}) {
    CHECK_THAT(run.err, ContainsSubstring(stage));
  }
  CHECK_THAT(run.err, Catch::Matchers::EndsWith("\r\033[K"));
  CHECK(nlohmann::json::parse(run.out)["verified"] == true);
}
