#pragma once

// Names shared by every template and by the Config struct that codegen writes.

namespace flexgemm {

/// Storage of the 16-bit types: bits only, arithmetic happens in float or in the matrix unit.
struct f16_t {
  unsigned short bits;
};
struct bf16_t {
  unsigned short bits;
};

enum class ComputeType { f32, tf32, f16, bf16 };
enum class MmaPath { ffma, mma_sync, wgmma };
enum class BiasType { none, f32, storage };

__host__ __device__ constexpr int ceil_divide(int a, int b) { return (a + b - 1) / b; }
__host__ __device__ constexpr int minimum(int a, int b) { return a < b ? a : b; }
__host__ __device__ constexpr int maximum(int a, int b) { return a > b ? a : b; }

/// Unsigned word of 2, 4, 8 or 16 bytes: what one load or store of a vector moves.
template <int kBytes>
struct VectorOf;
template <>
struct VectorOf<2> {
  using type = unsigned short;
};
template <>
struct VectorOf<4> {
  using type = unsigned int;
};
template <>
struct VectorOf<8> {
  using type = uint2;
};
template <>
struct VectorOf<16> {
  using type = uint4;
};
template <int kBytes>
using Vector = typename VectorOf<kBytes>::type;

template <bool kCondition, class First, class Second>
struct SelectType {
  using type = First;
};
template <class First, class Second>
struct SelectType<false, First, Second> {
  using type = Second;
};

}  // namespace flexgemm
