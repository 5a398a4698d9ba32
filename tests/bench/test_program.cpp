// The real program, as a user starts it.
#include <set>

#include <catch2/catch_test_macros.hpp>

#include "results.hpp"
#include "subprocess.hpp"

using namespace flexgemm::bench;

namespace {

ProcessResult bench(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), FLEXGEMM_BENCH_PROGRAM);
  return run_process(arguments, {});
}

ProcessResult small_suite(const std::string& folder) {
  return bench(
      {"suite", "--device", "cpu", "--quick", "--scenes", "sphere:16", "--channels", "8", "--out", folder});
}

}  // namespace

TEST_CASE("the CPU suite measures every pass, the map and both networks, with their limits") {
  const TemporaryFolder folder;
  const ProcessResult process = small_suite(folder.path());
  INFO(process.errors);
  REQUIRE(process.exit_code == 0);
  const auto results = read_results(folder.path() + "/suite-cpu.json");
  std::set<std::string> ops;
  for (const auto& row : results["rows"]) {
    ops.insert(row["op"].get<std::string>());
    CHECK(row["call_ms"]["median"].get<double>() > 0);
    CHECK(row["call_ms"]["spread"].get<double>() >= 0);
    CHECK(row["pairs"] == 10544);
    CHECK_FALSE(row.contains("failed"));
    if (results["ceilings"]["matrix_tflops"].empty()) continue;  // a build without BLAS
    CHECK(row["limit_ms"].get<double>() > 0);
    if (row["op"] == "forward") CHECK(row["percent_of_sgemm"].get<double>() > 0);
  }
  CHECK(ops == std::set<std::string>{"forward", "grad_input", "grad_weight", "map", "net_inference",
                                     "net_train_step"});
  for (const char* key : {"device", "machine", "version", "commit", "options"}) CHECK(results.contains(key));
}

TEST_CASE("weight gradients are measured in the layer's type, or in float if asked for") {
  for (const bool in_float : {false, true}) {
    const TemporaryFolder folder;
    std::vector<std::string> arguments{"suite",    "--device",  "cpu",        "--quick",
                                       "--scenes", "sphere:16", "--channels", "8",
                                       "--dtype",  "f16",       "--out",      folder.path()};
    if (in_float) arguments.push_back("--float-gradients");
    const ProcessResult process = bench(arguments);
    INFO(process.errors);
    REQUIRE(process.exit_code == 0);
    int found = 0;
    const auto results = read_results(folder.path() + "/suite-cpu.json");
    for (const auto& row : results["rows"]) {
      const bool has_gradient = row["op"] == "grad_weight" || row["op"] == "net_train_step";
      REQUIRE(row.contains("gradient_dtype") == has_gradient);
      if (!has_gradient) continue;
      ++found;
      CHECK(row["gradient_dtype"] == (in_float ? "f32" : "f16"));
      if (row["op"] != "grad_weight") continue;
      const std::int64_t rows = row["voxels"], pairs = row["pairs"];
      CHECK(row["least_bytes"] == 2 * rows * 8 * 2 + 27 * 8 * 8 * (in_float ? 4 : 2) + pairs * 4);
    }
    CHECK(found == 2);
  }
}

TEST_CASE("diff compares two runs of the program, and fails on slower rows only when asked to") {
  const TemporaryFolder folder;
  REQUIRE(small_suite(folder.path()).exit_code == 0);
  const std::string before = folder.path() + "/suite-cpu.json";
  const std::string after = folder.path() + "/slower.json";
  auto results = read_results(before);
  for (auto& row : results["rows"]) {
    row["call_ms"]["median"] = row["call_ms"]["median"].get<double>() * 100;
    row["call_ms"]["spread"] = 0.0;
  }
  write_results(results, after);
  CHECK(bench({"diff", before, before, "--fail-slower"}).exit_code == 0);
  CHECK(bench({"diff", before, after}).exit_code == 0);
  const ProcessResult failed = bench({"diff", before, after, "--fail-slower"});
  CHECK(failed.exit_code == 1);
  CHECK(failed.output.find("slower") != std::string::npos);
}

TEST_CASE("bad usage exits with 2, a file that is no result with 3") {
  CHECK(bench({"suite", "--device", "tpu"}).exit_code == 2);
  CHECK(bench({"suite", "--device", "cpu", "--scenes", "cube:3"}).exit_code == 2);
  CHECK(bench({}).exit_code == 2);
  CHECK(bench({"diff", FLEXGEMM_BASELINE, FLEXGEMM_BASELINE}).exit_code == 3);
}
