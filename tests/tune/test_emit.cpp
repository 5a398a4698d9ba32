#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "scene_files.hpp"
#include "tune_program.hpp"

using namespace flexgemm::test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

namespace {

const std::vector<std::string> issue_example{
    "emit",   "--op",  "forward", "--algorithm", "masked_implicit_gemm_splitk",
    "--ci",   "64",    "--co",    "64",          "--kernel",
    "3",      "--n",   "100000",  "--dtype",     "f16",
    "--arch", "sm_90a"};

}  // namespace

TEST_CASE("emit prints the source of a layer's kernel, the same as of its spec, and names the others") {
  const ProgramRun layer = flexgemm_tune(issue_example);
  REQUIRE(layer.exit_code == 0);
  CHECK(layer.err == "");
  CHECK_THAT(layer.out, StartsWith("// "));
  const std::string spec = layer.out.substr(3, layer.out.find('\n') - 3);
  CHECK_THAT(spec, ContainsSubstring(".ci64.co64.v27.") && ContainsSubstring(".partial.sm_90a"));
  const ProgramRun by_spec = flexgemm_tune({"emit", "--spec", spec});
  CHECK(by_spec.exit_code == 0);
  CHECK(by_spec.out == layer.out);

  const nlohmann::json object = flexgemm_tune_json(issue_example);
  CHECK(object["algorithm"] == "masked_implicit_gemm_splitk");
  REQUIRE(object["kernels"].size() == 2);
  CHECK(object["kernels"][0]["spec"] == spec);
  CHECK(object["kernels"][0]["source"] == layer.out);
  CHECK(object["kernels"][0]["hash"].get<std::string>().size() == 16);
  CHECK_THAT(object["kernels"][1]["spec"].get<std::string>(), StartsWith("reduce_partials."));

  std::vector<std::string> list = issue_example;
  list.emplace_back("--list");
  CHECK(flexgemm_tune(list).out == spec + "\n" + object["kernels"][1]["spec"].get<std::string>() + "\n");
}

TEST_CASE("an emitted source stands alone: nvcc compiles it as it is printed") {
  if (std::string(FLEXGEMM_NVCC).empty()) SKIP("this build has no nvcc");
  const ScratchFolder folder;
  const nlohmann::json object = flexgemm_tune_json(issue_example);
  for (std::size_t index = 0; index < object["kernels"].size(); ++index) {
    const std::string file = folder.write("kernel.cu", object["kernels"][index]["source"].get<std::string>());
    const ProgramRun nvcc = run_command(
        {FLEXGEMM_NVCC, "-std=c++20", "-arch=sm_90a", "-cubin", "-o", folder / "kernel.cubin", file});
    CAPTURE(nvcc.err);
    CHECK(nvcc.exit_code == 0);
    CHECK(read_file(folder / "kernel.cubin").size() > 1000);
  }
}

TEST_CASE("emit takes a layer from a net file, with its epilogue") {
  const ScratchFolder folder;
  const std::string net = folder.write("net.json", R"({"layers": [{"op": "forward", "in_channels": 32,
    "out_channels": 64, "kernel": [3, 3, 3], "dtype": "f16", "voxels": 100000, "epilogue": "bias+relu"}]})");
  const nlohmann::json object = flexgemm_tune_json({"emit", "--net", net, "--arch", "sm_80"});
  CHECK_THAT(object["kernels"][0]["spec"].get<std::string>(),
             ContainsSubstring(".ci32.co64.v27.") && ContainsSubstring("relu"));
}
