#pragma once

#include <cstdint>

namespace flexgemm::op_test {

/// Counter-based random numbers: any element can be drawn by itself, so threads may fill parts of a tensor.
/// The mixing function is splitmix64 (Steele, Lea, Flood 2014).
constexpr std::uint64_t random_bits(std::uint64_t seed, std::uint64_t index) noexcept {
  std::uint64_t z = seed * 0xd1342543de82ef95u + (index + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/// Uniform integer in [0, bound).
constexpr std::int64_t random_below(std::uint64_t seed, std::uint64_t index, std::int64_t bound) noexcept {
  return static_cast<std::int64_t>(random_bits(seed, index) % static_cast<std::uint64_t>(bound));
}

/// About normal with variance 1: the sum of four uniform numbers (Irwin-Hall), never beyond 3.5.
constexpr double random_normal(std::uint64_t seed, std::uint64_t index) noexcept {
  const std::uint64_t bits = random_bits(seed, index);
  const auto part = [bits](int shift) { return static_cast<double>((bits >> shift) & 0xffffu) / 65536.0; };
  return (part(0) + part(16) + part(32) + part(48) - 2.0 + 2.0 / 65536.0) * 1.7320508075688772;
}

/// The next of a sequence of numbers, for code that draws one after another.
class RandomSequence {
 public:
  explicit RandomSequence(std::uint64_t seed) noexcept : seed_(seed) {}
  std::int64_t below(std::int64_t bound) noexcept { return random_below(seed_, index_++, bound); }

 private:
  std::uint64_t seed_;
  std::uint64_t index_ = 0;
};

}  // namespace flexgemm::op_test
