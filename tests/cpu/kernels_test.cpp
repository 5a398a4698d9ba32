#include "cpu/kernels.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <flexgemm/half.hpp>

using namespace flexgemm;
using detail::Kernels;

namespace {

std::vector<float> random_floats(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(generator);
  return values;
}

/// Values around every rounding boundary that matters, and specials; 3 more than a multiple of any vector.
std::vector<float> hard_floats() {
  std::vector<float> values;
  for (std::uint32_t high = 0; high < 0x10000; ++high) {
    for (const std::uint32_t low :
         {0x0000u, 0x0fffu, 0x1000u, 0x1001u, 0x2000u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      values.push_back(std::bit_cast<float>((high << 16) | low));
  }
  while (values.size() % 16 != 3) values.push_back(1.0F);
  return values;
}

}  // namespace

TEST_CASE("kernels of every instruction set convert f16 and bf16 exactly as half.hpp does") {
  const std::vector<float> hard = hard_floats();
  const auto count = static_cast<std::int64_t>(hard.size());
  for (const Kernels* kernels : detail::supported_kernels()) {
    INFO(kernels->name);
    std::vector<std::uint16_t> bits(hard.size());
    std::vector<float> floats(hard.size());
    std::int64_t wrong = 0;
    kernels->float_to_f16(hard.data(), bits.data(), count);
    kernels->f16_to_float(bits.data(), floats.data(), count);
    for (std::size_t i = 0; i < hard.size(); ++i) {
      wrong += bits[i] != to_f16(hard[i]).bits;
      const float expected = to_float(f16{bits[i]});
      wrong += !(std::isnan(expected) ? std::isnan(floats[i]) : floats[i] == expected);
    }
    REQUIRE(wrong == 0);
    kernels->float_to_bf16(hard.data(), bits.data(), count);
    kernels->bf16_to_float(bits.data(), floats.data(), count);
    for (std::size_t i = 0; i < hard.size(); ++i) {
      wrong += bits[i] != to_bf16(hard[i]).bits;
      wrong += std::bit_cast<std::uint32_t>(floats[i]) != std::uint32_t{bits[i]} << 16;
    }
    REQUIRE(wrong == 0);
  }
}

TEST_CASE("gather_gemm adds each row's product to its slot, slots that repeat included") {
  constexpr std::int64_t k = 37;
  const std::vector<float> input = random_floats(40 * k, 1);
  for (const Kernels* kernels : detail::supported_kernels()) {
    const std::int64_t width = kernels->panel_width;
    const std::int64_t stride = width + 5;
    const std::vector<float> panel = random_floats(static_cast<std::size_t>(k * width), 2);
    for (std::int64_t count = 0; count <= 27; ++count) {
      INFO(kernels->name << ", " << count << " rows");
      std::vector<const float*> rows;
      std::vector<std::int32_t> slots;
      std::vector<float> tile(static_cast<std::size_t>(9 * stride), 1.0F);
      std::vector<double> expected(tile.size(), 1.0);
      for (std::int64_t i = 0; i < count; ++i) {
        rows.push_back(input.data() + (i * 7 % 40) * k);
        slots.push_back(static_cast<std::int32_t>(i / 2 % 9));
        for (std::int64_t c = 0; c < width; ++c) {
          for (std::int64_t j = 0; j < k; ++j)
            expected[static_cast<std::size_t>(slots.back() * stride + c)] +=
                static_cast<double>(rows.back()[j]) *
                static_cast<double>(panel[static_cast<std::size_t>(j * width + c)]);
        }
      }
      kernels->gather_gemm(rows.data(), slots.data(), count, k, panel.data(), tile.data(), stride);
      double worst = 0;
      for (std::size_t i = 0; i < tile.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<double>(tile[i]) - expected[i]));
      REQUIRE(worst < 1e-4);
    }
  }
}

TEST_CASE("outer_products sums over its pairs for any width") {
  constexpr std::int64_t pairs = 23;
  const std::vector<float> along = random_floats(pairs * 40, 3);
  for (const Kernels* kernels : detail::supported_kernels()) {
    const std::int64_t panel_width = kernels->panel_width;
    const std::vector<float> panel = random_floats(static_cast<std::size_t>(pairs * panel_width), 4);
    std::vector<const float*> rows;
    for (std::int64_t p = 0; p < pairs; ++p) rows.push_back(along.data() + p * 40);
    for (std::int64_t width = 1; width <= 27; ++width) {
      INFO(kernels->name << ", " << width << " channels");
      std::vector<float> sums(static_cast<std::size_t>(40 * panel_width), 2.0F);
      kernels->outer_products(rows.data(), width, pairs, panel.data(), sums.data(), panel_width);
      double worst = 0;
      for (std::int64_t i = 0; i < 40; ++i) {
        for (std::int64_t c = 0; c < panel_width; ++c) {
          double expected = 2.0;
          for (std::int64_t p = 0; p < pairs && i < width; ++p)
            expected += static_cast<double>(rows[static_cast<std::size_t>(p)][i]) *
                        static_cast<double>(panel[static_cast<std::size_t>(p * panel_width + c)]);
          worst = std::max(
              worst,
              std::abs(static_cast<double>(sums[static_cast<std::size_t>(i * panel_width + c)]) - expected));
        }
      }
      REQUIRE(worst < 1e-4);
    }
  }
}
