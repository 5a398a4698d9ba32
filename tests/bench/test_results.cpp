#include <algorithm>
#include <sstream>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include "baseline.hpp"
#include "results.hpp"
#include "tables.hpp"

using namespace flexgemm;
using namespace flexgemm::bench;
using Catch::Approx;
using Json = nlohmann::ordered_json;

namespace {

const Json ceilings = Json::parse(R"({"matrix_tflops": {"f16": {"used": 700, "samples": 40}},
                                      "copy_gigabytes": {"used": 4000, "samples": 40}})");

/// sphere-256 with times that make the numbers easy.
Json forward_row() {
  return Json::parse(
      R"({"scene": "sphere:256", "voxels": 252392, "pairs": 3203048, "channels": 256, "dtype": "f16",
    "op": "forward", "algorithm": "masked_implicit_gemm", "kernel": "implicit_gemm.f16.wgmma.t128x128x64",
    "graph_ms": {"median": 1.0, "min": 0.9, "max": 1.2, "samples": 40, "spread": 0.01},
    "call_ms": {"median": 1.25, "min": 1.0, "max": 1.5, "samples": 40, "spread": 0.03},
    "host_us": {"median": 9.0, "min": 8.0, "max": 30.0, "samples": 40, "spread": 0.0},
    "flop": 4.2e11, "least_bytes": 275000000, "peak_bytes": 400000000, "waste": 1.157})");
}

}  // namespace

TEST_CASE("the limit is the larger of arithmetic and bytes, and its share is of the graph's median") {
  Json row = forward_row();
  complete_row(row, ceilings, {}, false);
  CHECK(row["useful_tflops"].get<double>() == Approx(420));
  CHECK(row["percent_of_ceiling"].get<double>() == Approx(60));
  CHECK(row["limit_ms"].get<double>() == Approx(0.6));
  CHECK(row["limited_by"] == "arithmetic");
  CHECK(row["percent_of_limit"].get<double>() == Approx(60));

  Json light = forward_row();
  light["flop"] = 1e9;
  complete_row(light, ceilings, {}, false);
  CHECK(light["limited_by"] == "bytes");
  CHECK(light["limit_ms"].get<double>() == Approx(275e6 / 4e12 * 1e3));
}

TEST_CASE("without a matrix ceiling of the type a pass has no share and no limit") {
  Json row = forward_row();
  row["dtype"] = "bf16";
  complete_row(row, ceilings, {}, false);
  CHECK(row.contains("useful_tflops"));
  CHECK_FALSE(row.contains("percent_of_ceiling"));
  CHECK_FALSE(row.contains("limit_ms"));
}

TEST_CASE("the shipped baseline gives its ratios to rows of the same voxels, pairs, channels and type") {
  const Baseline baseline = Baseline::read(FLEXGEMM_BASELINE);
  Json row = forward_row();
  complete_row(row, ceilings, baseline, false);
  CHECK(row["baseline"]["kernel_ratio"].get<double>() == Approx(1.2733));
  CHECK(row["baseline"]["call_ratio"].get<double>() == Approx(1.4952 / 1.25));

  Json tf32 = forward_row();
  tf32["dtype"] = "tf32";
  complete_row(tf32, ceilings, baseline, false);
  CHECK(tf32["baseline"]["kernel_ms"].get<double>() == Approx(2.4371));

  Json other = forward_row();
  other["pairs"] = 3203049;
  complete_row(other, ceilings, baseline, false);
  CHECK_FALSE(other.contains("baseline"));

  Json network = forward_row();
  network["op"] = "net_inference";
  network["layers"] = 2;
  complete_row(network, ceilings, baseline, false);
  CHECK(network["baseline"]["call_ratio"].get<double>() == Approx(3.0205 / 1.25));
  Json deeper = forward_row();
  deeper["op"] = "net_inference";
  deeper["layers"] = 4;
  complete_row(deeper, ceilings, baseline, false);
  CHECK_FALSE(deeper.contains("baseline"));
}

TEST_CASE("tables fit 160 columns and hold every row; missing numbers are dashes") {
  Json row = forward_row();
  complete_row(row, ceilings, Baseline::read(FLEXGEMM_BASELINE), false);
  Json bare = forward_row();
  for (const char* key : {"graph_ms", "host_us", "peak_bytes", "waste"}) bare.erase(key);
  bare["scene"] = "outdoor-lidar";
  bare["dtype"] = "bf16";
  complete_row(bare, ceilings, {}, false);
  const Json results{{"device", {{"name", "a GPU"}}},
                     {"machine", {{"date", "today"}}},
                     {"commit", "c"},
                     {"ceilings", ceilings},
                     {"notes", {"a note"}},
                     {"rows", {row, bare}}};
  std::istringstream lines(results_tables(results, false));
  std::size_t widest = 0;
  bool found = false;
  for (std::string line; std::getline(lines, line);) {
    widest = std::max(widest, line.size());
    if (line.starts_with("outdoor-lidar") && line.find("forward  ") != std::string::npos) {
      found = true;
      CHECK(line.find(" - ") != std::string::npos);
    }
  }
  CHECK(found);
  CHECK(widest <= 160);
  CHECK(results_tables(results, true).find("|---|") != std::string::npos);
}
