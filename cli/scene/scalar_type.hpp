#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace flexgemm::scene {

/// Number types that scan files store.
enum class ScalarType : std::uint8_t { i8, u8, i16, u16, i32, u32, i64, u64, f16, f32, f64 };

/// Bytes of one value, 1 to 8.
std::size_t size_of(ScalarType type) noexcept;

constexpr bool is_integer(ScalarType type) noexcept { return type < ScalarType::f16; }

/// Largest number of columns that a reader accepts: far beyond any real scan, small enough that no product of
/// sizes overflows.
inline constexpr std::int64_t max_columns = 65536;

/// The value at `bytes` (any alignment) in the given byte order.
template <class T>
T load(const std::uint8_t* bytes, std::endian order = std::endian::little) noexcept {
  std::array<std::uint8_t, sizeof(T)> copy;
  std::memcpy(copy.data(), bytes, sizeof(T));
  if (order != std::endian::native) std::reverse(copy.begin(), copy.end());
  return std::bit_cast<T>(copy);
}

/// A run of equal-typed values at a fixed distance in memory.
struct StridedValues {
  const std::uint8_t* data;
  std::size_t stride;  ///< bytes between the starts of two values
  ScalarType type;
  std::endian order;
};

/// Converts `count` values to float, rounded to nearest, into target[0], target[target_stride], ...
void convert_to_float(const StridedValues& source, std::int64_t count, float* target,
                      std::int64_t target_stride) noexcept;

/// One value of an integer type; u64 beyond int64 comes back negative.
std::int64_t load_integer(const std::uint8_t* bytes, ScalarType type, std::endian order) noexcept;

}  // namespace flexgemm::scene
