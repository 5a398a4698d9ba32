#include <cmath>
#include <limits>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "run/layer_data.hpp"

using namespace flexgemm;
using namespace flexgemm::run;

TEST_CASE("values of every type are decoded to what they were rounded to") {
  const std::vector<float> values{0.0F, 1.0F, -2.5F, 0.1F, 65504.0F};
  const auto decoded = [&](DType dtype) {
    const std::vector<std::byte> bytes = encode(values, dtype);
    CHECK(bytes.size() == values.size() * size_of(dtype));
    std::vector<float> result;
    for (std::int64_t index = 0; index < std::ssize(values); ++index) {
      result.push_back(decode(bytes.data(), dtype, index));
    }
    return result;
  };
  CHECK(decoded(DType::f32) == values);
  CHECK(decoded(DType::tf32) == values);
  CHECK(decoded(DType::f16) == std::vector<float>{0.0F, 1.0F, -2.5F, 0x1.998p-4F, 65504.0F});
  CHECK(decoded(DType::bf16) == std::vector<float>{0.0F, 1.0F, -2.5F, 0x1.9ap-4F, 65536.0F});
}

TEST_CASE("a finite value that f16 cannot hold is refused") {
  CHECK_NOTHROW(encode({65519.0F, -65519.0F}, DType::f16));
  CHECK_THROWS_AS(encode({65520.0F}, DType::f16), Error);
  CHECK_THROWS_AS(encode({0.0F, -1e6F}, DType::f16), Error);
  CHECK_NOTHROW(encode({1e6F}, DType::bf16));
}

TEST_CASE("random weights have the promised variance and depend on seed and layer") {
  const Conv3dOptions layer{.in_channels = 16, .out_channels = 64};
  const LayerParameters parameters = random_parameters(layer, 8, 3, 0);
  const std::int64_t count = 64 * 27 * 16;
  REQUIRE(parameters.weight.size() == count * sizeof(float));
  double mean = 0;
  double square = 0;
  for (std::int64_t index = 0; index < count; ++index) {
    const double value = decode(parameters.weight.data(), DType::f32, index);
    mean += value / count;
    square += value * value / count;
  }
  const double variance = 1.0 / (8 * 16);
  CHECK(std::abs(mean) < 5 * std::sqrt(variance / count));
  CHECK(std::abs(square / variance - 1) < 0.05);
  CHECK(random_parameters(layer, 8, 3, 0).weight == parameters.weight);
  CHECK(random_parameters(layer, 8, 4, 0).weight != parameters.weight);
  CHECK(random_parameters(layer, 8, 3, 1).weight != parameters.weight);
  CHECK(random_parameters(layer, 8, 3 + (std::uint64_t{1} << 32), 0).weight != parameters.weight);
}
