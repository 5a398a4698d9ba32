#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <flexgemm/export.hpp>

namespace flexgemm {

/// Element types. `tf32` is stored as float; as the type of a convolution it allows the matrix unit to round
/// the operands to 10 mantissa bits. Accumulation is float for every type. `i32` is for coordinates and maps
/// only.
enum class DType : std::uint8_t { f32, tf32, f16, bf16, i32 };

/// Bytes an element occupies in memory.
constexpr std::size_t size_of(DType dtype) noexcept {
  return dtype == DType::f16 || dtype == DType::bf16 ? 2 : 4;
}

/// Type that holds the elements in memory: f32 for tf32, the type itself otherwise.
constexpr DType storage_type(DType dtype) noexcept { return dtype == DType::tf32 ? DType::f32 : dtype; }

/// "f32", "tf32", "f16", "bf16" or "i32".
FLEXGEMM_API const char* name(DType dtype) noexcept;

/// The type with that name; also accepts fp32, fp16, float32, float16, bfloat16, half.
/// Throws Error{invalid_argument} for any other text.
FLEXGEMM_API DType parse_dtype(std::string_view text);

}  // namespace flexgemm
