#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "api/support.hpp"

using namespace flexgemm;

namespace {

/// A 16-bit float with `mantissa` stored bits and exponents from `least`: value of its bits, in double.
double value_of(std::uint16_t bits, int mantissa, int bias) {
  const int exponent = (bits & 0x7fff) >> mantissa;
  const int fraction = bits & ((1 << mantissa) - 1);
  const int top = (1 << (15 - mantissa)) - 1;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == top) return fraction != 0 ? std::nan("") : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - mantissa);
  return sign * std::ldexp((1 << mantissa) + fraction, exponent - bias - mantissa);
}

/// `value` rounded to a grid of `mantissa` stored bits, to nearest, ties to even; in double.
double rounded(double value, int mantissa, int bias) {
  if (value == 0 || !std::isfinite(value)) return value;
  const int quantum = std::max(std::ilogb(value), 1 - bias) - mantissa;
  const double result = std::ldexp(std::nearbyint(std::ldexp(value, -quantum)), quantum);
  return std::abs(result) >= std::ldexp(1.0, bias + 1) ? std::copysign(INFINITY, value) : result;
}

template <class Half>
struct Format;
template <>
struct Format<f16> {
  static constexpr int mantissa = 10;
  static constexpr int bias = 15;
  static f16 from(float value) { return to_f16(value); }
};
template <>
struct Format<bf16> {
  static constexpr int mantissa = 7;
  static constexpr int bias = 127;
  static bf16 from(float value) { return to_bf16(value); }
};

bool same(double a, double b) {
  return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b);
}

/// Counts failures, so that a million checks cost no million Catch2 assertions.
template <class Half>
std::int64_t widening_failures() {
  std::int64_t failures = 0;
  for (std::uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const Half half{static_cast<std::uint16_t>(bits)};
    const double expected = value_of(half.bits, Format<Half>::mantissa, Format<Half>::bias);
    failures += !same(to_float(half), expected);
    if (!std::isnan(expected)) failures += Format<Half>::from(to_float(half)).bits != half.bits;
  }
  return failures;
}

template <class Half>
std::int64_t narrowing_failures() {
  std::int64_t failures = 0;
  // Every sign, exponent and leading mantissa bits, with low bits around every tie of both formats.
  for (std::uint32_t high = 0; high <= 0xffff; ++high) {
    for (const std::uint32_t low :
         {0x0000u, 0x0001u, 0x0fffu, 0x1000u, 0x1001u, 0x1fffu, 0x2000u, 0x2fffu, 0x3000u,
          0x3001u, 0x4000u, 0x5000u, 0x6fffu, 0x7000u, 0x7fffu, 0x8000u, 0x8001u, 0x9000u,
          0xa001u, 0xb000u, 0xc000u, 0xd000u, 0xefffu, 0xf000u, 0xf001u, 0xffffu}) {
      const auto value = std::bit_cast<float>(high << 16 | low);
      const double expected = rounded(value, Format<Half>::mantissa, Format<Half>::bias);
      const Half half = Format<Half>::from(value);
      failures += !same(value_of(half.bits, Format<Half>::mantissa, Format<Half>::bias), expected);
    }
  }
  return failures;
}

template <class Half>
std::int64_t tie_failures() {
  std::int64_t failures = 0;
  for (std::uint16_t bits = 0; std::isfinite(to_float(Half{static_cast<std::uint16_t>(bits + 1)})); ++bits) {
    const float below = to_float(Half{bits});
    const float above = to_float(Half{static_cast<std::uint16_t>(bits + 1)});
    const float middle = below + (above - below) / 2;
    const std::uint16_t even = (bits & 1) == 0 ? bits : static_cast<std::uint16_t>(bits + 1);
    failures += Format<Half>::from(middle).bits != even;
    failures += Format<Half>::from(std::nextafter(middle, 0.0f)).bits != bits;
    failures += Format<Half>::from(std::nextafter(middle, INFINITY)).bits != bits + 1;
  }
  return failures;
}

}  // namespace

TEST_CASE("every f16 and bf16 widens to its exact value and comes back") {
  CHECK(widening_failures<f16>() == 0);
  CHECK(widening_failures<bf16>() == 0);
}

TEST_CASE("floats narrow to the nearest f16 and bf16, ties to even") {
  CHECK(narrowing_failures<f16>() == 0);
  CHECK(narrowing_failures<bf16>() == 0);
  CHECK(tie_failures<f16>() == 0);
  CHECK(tie_failures<bf16>() == 0);
}

TEST_CASE("overflow gives infinity and NaN stays NaN") {
  CHECK(to_f16(65519.99f).bits == 0x7bff);
  CHECK(to_f16(65520.0f).bits == 0x7c00);
  CHECK(to_f16(-1e30f).bits == 0xfc00);
  CHECK(to_bf16(std::numeric_limits<float>::max()).bits == 0x7f80);
  for (const std::uint32_t bits : {0x7f800001u, 0x7fffffffu, 0xff800001u, 0x7fc00000u}) {
    CHECK(std::isnan(to_float(to_f16(std::bit_cast<float>(bits)))));
    CHECK(std::isnan(to_float(to_bf16(std::bit_cast<float>(bits)))));
  }
  static_assert(to_f16(1.0f).bits == 0x3c00 && to_bf16(1.0f).bits == 0x3f80,
                "usable in constant expressions");
}
