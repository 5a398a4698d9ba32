#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace flexgemm::codegen {

inline constexpr std::uint64_t fnv1a_offset_basis = 0xcbf29ce484222325U;

/// 64-bit FNV-1a of `text`, continued from `hash`.
constexpr std::uint64_t fnv1a(std::string_view text, std::uint64_t hash = fnv1a_offset_basis) noexcept {
  for (const char character : text) {
    hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001b3U;
  }
  return hash;
}

/// 16 hexadecimal digits, lower case.
inline std::string hexadecimal(std::uint64_t value) {
  std::string text(16, '0');
  for (int digit = 15; digit >= 0; --digit, value >>= 4) text[digit] = "0123456789abcdef"[value & 15];
  return text;
}

/// `value` rounded up to a multiple of `step`.
constexpr std::int64_t round_up(std::int64_t value, std::int64_t step) noexcept {
  return (value + step - 1) / step * step;
}

constexpr std::int64_t divide_up(std::int64_t value, std::int64_t divisor) noexcept {
  return (value + divisor - 1) / divisor;
}

}  // namespace flexgemm::codegen
