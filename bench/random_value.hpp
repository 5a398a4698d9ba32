#pragma once

#include <cstdint>

#include <flexgemm/half.hpp>

namespace flexgemm::bench {

/// Element `index` of a sequence of independent values of mean 0 and deviation 1, the same bits on a host and
/// on a GPU: the sum of four uniform values (Irwin-Hall), near enough to normal, from one splitmix64 hash
/// (Steele, Lea and Flood 2014).
constexpr float random_value(std::uint64_t seed, std::uint64_t index) noexcept {
  std::uint64_t bits = (seed << 40) + index;
  bits = (bits + 1) * 0x9e3779b97f4a7c15u;
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
  bits ^= bits >> 31;
  const auto sum = static_cast<std::int32_t>((bits & 0xffffu) + ((bits >> 16) & 0xffffu) +
                                             ((bits >> 32) & 0xffffu) + (bits >> 48));
  constexpr std::int32_t twice_mean = 131070;
  constexpr float scale = 1.7320508F / 65536.0F;  // the sum's deviation is 65536 / sqrt(3)
  return static_cast<float>(sum - twice_mean) * scale;
}

/// The value as an element in memory.
template <class Element>
constexpr Element stored(float value) noexcept;
template <>
constexpr float stored<float>(float value) noexcept {
  return value;
}
template <>
constexpr f16 stored<f16>(float value) noexcept {
  return to_f16(value);
}
template <>
constexpr bf16 stored<bf16>(float value) noexcept {
  return to_bf16(value);
}

}  // namespace flexgemm::bench
