#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include "diff.hpp"

using namespace flexgemm::bench;
using Catch::Approx;
using Json = nlohmann::ordered_json;

namespace {

Json run(double median, double spread) {
  return {{"rows",
           {{{"scene", "s"},
             {"channels", 64},
             {"dtype", "f16"},
             {"op", "forward"},
             {"call_ms", {{"median", median}, {"spread", spread}}}}}}};
}

}  // namespace

TEST_CASE("a difference counts when it exceeds the larger spread of the two runs") {
  const Comparison slower = compare(run(1.0, 0.01), run(1.2, 0.05));
  REQUIRE(slower.differences.size() == 1);
  CHECK(slower.differences[0].change == Approx(0.2));
  CHECK(slower.differences[0].bound == Approx(0.05));
  CHECK(slower.any_slower());
  CHECK_FALSE(compare(run(1.0, 0.25), run(1.2, 0.05)).any_slower());
  CHECK_FALSE(compare(run(1.0, 0.01), run(0.8, 0.05)).any_slower());
  CHECK(compare(run(1.0, 0.01), run(0.8, 0.05)).differences[0].counts());
}

TEST_CASE("differences of less than two percent never count") {
  CHECK_FALSE(compare(run(1.0, 0), run(1.019, 0)).any_slower());
  CHECK(compare(run(1.0, 0), run(1.021, 0)).any_slower());
}

TEST_CASE("rows of one run alone are named, and failed rows are no rows") {
  Json other = run(1.0, 0);
  other["rows"][0]["op"] = "grad_input";
  CHECK(compare(run(1.0, 0), other).only_one_side.size() == 2);
  Json failed = run(1.0, 0);
  failed["rows"][0]["failed"] = "no memory";
  const Comparison comparison = compare(run(1.0, 0), failed);
  CHECK(comparison.differences.empty());
  CHECK(comparison.only_one_side.size() == 1);
}
