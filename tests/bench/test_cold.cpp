// The cold start's measurement on programs that are none of FlexGEMM's.
#include <filesystem>
#include <fstream>
#include <string>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include "cold.hpp"
#include "subprocess.hpp"

using namespace flexgemm::bench;
using Catch::Approx;

namespace {

std::string script(const TemporaryFolder& folder, const std::string& name, const std::string& lines) {
  const std::string path = folder.path() + "/" + name;
  std::ofstream(path) << "#!/bin/sh\n" << lines << "\n";
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  return path;
}

ColdOptions options_in(const TemporaryFolder& folder) {
  ColdOptions options;
  options.run_program =
      script(folder, "run",
             "mkdir -p \"$FLEXGEMM_CACHE_DIR\"; touch \"$FLEXGEMM_CACHE_DIR/kernel\"; sleep 0.2\n"
             "echo '{\"stages\": [{\"name\": \"map\", \"ms\": 2.5}, "
             "{\"name\": \"layer 1 first call\", \"ms\": 150}]}'");
  options.driver_start = script(folder, "driver",
                                "test \"$1\" = 3 || exit 1; echo x >> " + folder.path() +
                                    "/starts\n"
                                    "echo '{\"stages\": [{\"name\": \"cuInit\", \"ms\": 60}, "
                                    "{\"name\": \"context\", \"ms\": 31.25}]}'");
  options.device = "cuda:3";
  options.repeat = 2;
  return options;
}

}  // namespace

TEST_CASE("what a start takes beyond the driver is measured against starts of the driver alone") {
  const TemporaryFolder folder;
  const auto results = measure_cold_start(options_in(folder));
  REQUIRE(results["states"].size() == 2);  // no module that hides NVRTC was named
  for (const auto& state : results["states"]) {
    const double all = state["seconds"]["median"].get<double>();
    const double driver = state["driver_seconds"]["median"].get<double>();
    CHECK(all > 0.2);
    CHECK(driver > 0);
    CHECK(state["beyond_driver_seconds"].get<double>() == Approx(all - driver));
    CHECK(state["driver_stages_ms"]["cuInit"] == 60);
    CHECK(state["driver_stages_ms"]["context"] == 31.25);
  }
  CHECK(std::filesystem::file_size(folder.path() + "/starts") == 2 * 4);  // in turn with each start
  const std::string text = cold_start_text(results, true);
  for (const char* part : {"beyond driver s", " 60.0 |", " 31.2 |", " 2.5 |", " 150.0 |"})
    CHECK(text.find(part) != std::string::npos);
}

TEST_CASE("without a driver, or on a CPU, a start is measured as a whole") {
  const TemporaryFolder folder;
  ColdOptions options = options_in(folder);
  SECTION("a driver that fails") {
    options.driver_start = script(folder, "failing", "echo no driver >&2; exit 1");
    const auto results = measure_cold_start(options);
    CHECK(cold_start_text(results, false).find("the driver's share is not known: no driver\n") !=
          std::string::npos);
    CHECK_FALSE(results["states"][1].contains("beyond_driver_seconds"));
  }
  SECTION("a CPU") { options.device = "cpu"; }
  const auto results = measure_cold_start(options);
  REQUIRE(results["states"].size() == 2);
  for (const auto& state : results["states"]) {
    CHECK(state["seconds"]["median"].get<double>() > 0.2);
    CHECK_FALSE(state.contains("driver_seconds"));
  }
}
