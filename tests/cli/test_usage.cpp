#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <flexgemm/version.hpp>

#include "run_program.hpp"
#include "scene_files.hpp"

using namespace flexgemm::test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("the option --help names every option, shows examples and documents the exit codes") {
  const ProgramRun run = flexgemm_run({"--help"});
  CHECK(run.exit_code == 0);
  CHECK(run.err == "");
  for (const char* words : {"--columns",   "--voxel-size",     "--range",
                            "--channels",  "--kernel",         "--dilation",
                            "--dtype",     "--device",         "--threads",
                            "--algorithm", "--seed",           "--kernel-pack",
                            "--repeat",    "--verify",         "--json",
                            "--out",       "--version",        "--help",
                            "sphere:RES",  "lidar:SEED",       "masked_implicit_gemm_splitk",
                            "auto",        "cuda:N",           "Examples",
                            "Exit codes",  "2  bad usage",     "3  bad input",
                            "4  --verify", "5  no such device"}) {
    CHECK_THAT(run.out, ContainsSubstring(words));
  }
}

TEST_CASE("the option --version prints the version of the library") {
  const ProgramRun run = flexgemm_run({"--version"});
  CHECK(run.exit_code == 0);
  CHECK(run.out == std::string("flexgemm-run ") + flexgemm::version() + "\n");
  CHECK(run.err == "");
}

TEST_CASE("bad usage gets one sentence with the offending value and exit code 2") {
  struct Case {
    std::vector<std::string> arguments;
    const char* words;
  };
  const std::vector<Case> cases{
      {{}, "SCENE"},
      {{""}, "SCENE is empty"},
      {{"sphere:8", "sphere:16"}, "sphere:16"},
      {{"sphere:8", "--no-such-option"}, "--no-such-option"},
      {{"sphere:0"}, "'0'"},
      {{"sphere:abc"}, "'abc'"},
      {{"sphere:"}, "sphere:RES"},
      {{"sphere:4097"}, "4097"},
      {{"sphere:-8"}, "'-8'"},
      {{"lidar:xyz"}, "'xyz'"},
      {{"lidar:-1"}, "'-1'"},
      {{"sphere:8", "--voxel-size", "0"}, "--voxel-size is '0'"},
      {{"sphere:8", "--voxel-size=-0.1"}, "--voxel-size is '-0.1'"},
      {{"sphere:8", "--voxel-size", "nan"}, "'nan'"},
      {{"sphere:8", "--voxel-size", "inf"}, "'inf'"},
      {{"sphere:8", "--voxel-size", "0.1,0.1"}, "one number or three"},
      {{"sphere:8", "--voxel-size", "0.1,,0.1"}, "''"},
      {{"sphere:8", "--voxel-size", "1m"}, "'1m'"},
      {{"sphere:8", "--range", "0,0,0,1,1"}, "six"},
      {{"sphere:8", "--range", "0,0,0,1,-1,1"}, "along y the lower corner 0 is not below the upper -1"},
      {{"sphere:8", "--range", "0,0,1,1,1,1"}, "along z"},
      {{"sphere:8", "--range", "nan,0,1,1,1,1"}, "'nan'"},
      {{"sphere:8", "--range="}, "--range"},
      {{"sphere:8", "--channels", "0"}, "--channels is '0'"},
      {{"sphere:8", "--channels", "32,-4"}, "'-4'"},
      {{"sphere:8", "--channels", "1048577"}, "1048577"},
      {{"sphere:8", "--channels", "99999999999999999999"}, "99999999999999999999"},
      {{"sphere:8", "--channels", "32,"}, "--channels is '32,'"},
      {{"sphere:8", "--channels", "1000000,1000000"}, "GiB"},
      {{"sphere:8", "--kernel", "8"}, "'8'"},
      {{"sphere:8", "--kernel", "3,3"}, "one number or three"},
      {{"sphere:8", "--kernel", "3,0,3"}, "'0'"},
      {{"sphere:8", "--dilation", "0"}, "--dilation is '0'"},
      {{"sphere:8", "--dtype", "f64"}, "'f64'"},
      {{"sphere:8", "--dtype", "i32"}, "'i32'"},
      {{"sphere:8", "--device", "tpu"}, "'tpu'"},
      {{"sphere:8", "--device", "cuda:x"}, "'cuda:x'"},
      {{"sphere:8", "--threads", "-1"}, "--threads is '-1'"},
      {{"sphere:8", "--algorithm", "winograd"}, "'winograd'"},
      {{"sphere:8", "--seed", "-1"}, "--seed is '-1'"},
      {{"sphere:8", "--repeat", "0"}, "--repeat is '0'"},
      {{"sphere:8", "--columns", "2"}, "--columns is '2'"},
      {{"sphere:8", "--out", ""}, "--out"},
      {{"sphere:8", "--dtype", "f16", "--dtype", "f32"}, "--dtype"},
      {{"sphere:8", "--json", "--repeat", "-1"}, "--repeat"},
  };
  for (const Case& bad : cases) {
    CAPTURE(bad.arguments);
    check_refused(flexgemm_run(bad.arguments), 2, bad.words);
  }
}

TEST_CASE("a device that does not exist gets exit code 5") {
  check_refused(flexgemm_run({"sphere:8", "--device", "cuda:1000", "--json"}), 5, "cuda:1000");
}

TEST_CASE("numbers that begin with a minus are read with and without an equals sign") {
  const ScratchFolder folder;
  const std::string scan = folder.write_floats("scan.bin", {-1, -1, -1, 0, -50, 0, 0, 0});
  for (const std::vector<std::string>& range :
       {std::vector<std::string>{"--range", "-2,-2,-2,2,2,2"}, {"--range=-2,-2,-2,2,2,2"}}) {
    std::vector<std::string> arguments{scan, "--device", "cpu"};
    arguments.insert(arguments.end(), range.begin(), range.end());
    const nlohmann::json result = flexgemm_run_json(arguments);
    CHECK(result["voxels"] == 1);
    CHECK(result["dropped_out_of_range"] == 1);
  }
}
