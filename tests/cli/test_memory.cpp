#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "run/memory.hpp"

using namespace flexgemm;
using namespace flexgemm::run;

TEST_CASE("the estimate covers features, map and weights of the largest layer") {
  const Footprint features{.voxels = 1000, .volume = 27, .channels = {4, 64, 16}};
  CHECK(estimated_bytes(features) >= 1000.0 * (2 * 64 * 4 + 27 * 4));
  CHECK(estimated_bytes(features) < 1e7);
  const Footprint weights{.voxels = 0, .volume = 27, .channels = {4, 1'000'000, 1'000'000}};
  CHECK(estimated_bytes(weights) >= 27e12 * 4);
}

TEST_CASE("a run that the machine cannot hold is refused with the sizes") {
  const Footprint footprint{.voxels = 1'000'000, .volume = 27, .channels = {4, 4096}};
  CHECK_NOTHROW(require_memory(footprint, 0x1p50));
  CHECK_THROWS_MATCHES(require_memory(footprint, 0x1p33), Error,
                       Catch::Matchers::MessageMatches(Catch::Matchers::ContainsSubstring("8.0 GiB") &&
                                                       Catch::Matchers::ContainsSubstring("4096 channels") &&
                                                       Catch::Matchers::ContainsSubstring("1000000 voxels")));
}

TEST_CASE("the machine has memory, and the process a part of it") {
  CHECK(machine_bytes() > 0x1p26);
  CHECK(process_peak_bytes() > 0);
  CHECK(static_cast<double>(process_peak_bytes()) < machine_bytes());
}
