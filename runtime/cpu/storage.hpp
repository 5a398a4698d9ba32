#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <flexgemm/dtype.hpp>
#include <flexgemm/half.hpp>

#include "cpu/kernels.hpp"

namespace flexgemm::detail {

/// Elements in memory as f32, f16 or bf16 (`storage`), read and written as float. Indices count elements.

inline float load_element(const void* source, DType storage, std::int64_t index) noexcept {
  switch (storage) {
    case DType::f16:
      return to_float(static_cast<const f16*>(source)[index]);
    case DType::bf16:
      return to_float(static_cast<const bf16*>(source)[index]);
    default:
      return static_cast<const float*>(source)[index];
  }
}

inline void store_element(void* target, DType storage, std::int64_t index, float value) noexcept {
  switch (storage) {
    case DType::f16:
      static_cast<f16*>(target)[index] = to_f16(value);
      break;
    case DType::bf16:
      static_cast<bf16*>(target)[index] = to_bf16(value);
      break;
    default:
      static_cast<float*>(target)[index] = value;
  }
}

/// target[0 ... count) = source[first ... first + count)
inline void load_elements(const Kernels& kernels, const void* source, DType storage, std::int64_t first,
                          std::int64_t count, float* target) noexcept {
  switch (storage) {
    case DType::f16:
      kernels.f16_to_float(static_cast<const std::uint16_t*>(source) + first, target, count);
      break;
    case DType::bf16:
      kernels.bf16_to_float(static_cast<const std::uint16_t*>(source) + first, target, count);
      break;
    default:
      std::memcpy(target, static_cast<const float*>(source) + first,
                  static_cast<std::size_t>(count) * sizeof(float));
  }
}

/// target[first ... first + count) = source[0 ... count)
inline void store_elements(const Kernels& kernels, void* target, DType storage, std::int64_t first,
                           std::int64_t count, const float* source) noexcept {
  switch (storage) {
    case DType::f16:
      kernels.float_to_f16(source, static_cast<std::uint16_t*>(target) + first, count);
      break;
    case DType::bf16:
      kernels.float_to_bf16(source, static_cast<std::uint16_t*>(target) + first, count);
      break;
    default:
      std::memcpy(static_cast<float*>(target) + first, source,
                  static_cast<std::size_t>(count) * sizeof(float));
  }
}

/// Asks for the cache lines of source[first ... first + count).
inline void prefetch_elements(const void* source, DType storage, std::int64_t first,
                              std::int64_t count) noexcept {
#if defined(__GNUC__)
  constexpr std::int64_t line = 64;
  const auto size = static_cast<std::int64_t>(size_of(storage));
  const char* begin = static_cast<const char*>(source) + first * size;
  for (std::int64_t byte = 0; byte < count * size; byte += line) __builtin_prefetch(begin + byte);
#else
  static_cast<void>(source), static_cast<void>(storage), static_cast<void>(first), static_cast<void>(count);
#endif
}

constexpr std::int64_t divide_up(std::int64_t value, std::int64_t divisor) noexcept {
  return value / divisor + (value % divisor != 0 ? 1 : 0);
}

constexpr std::int64_t round_up(std::int64_t value, std::int64_t multiple) noexcept {
  return divide_up(value, multiple) * multiple;
}

}  // namespace flexgemm::detail
