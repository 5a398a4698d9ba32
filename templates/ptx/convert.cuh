#pragma once

#include "config.cuh"

// Conversions between float and the storage types (PTX ISA, cvt), round to nearest even.

namespace flexgemm {

__device__ __forceinline__ float to_float(float value) { return value; }

__device__ __forceinline__ float to_float(f16_t value) {
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
  return result;
}

__device__ __forceinline__ float to_float(bf16_t value) {
  return __uint_as_float(static_cast<unsigned>(value.bits) << 16);
}

template <class Storage>
__device__ __forceinline__ Storage from_float(float value);

template <>
__device__ __forceinline__ float from_float<float>(float value) {
  return value;
}

template <>
__device__ __forceinline__ f16_t from_float<f16_t>(float value) {
  f16_t result;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  return result;
}

template <>
__device__ __forceinline__ bf16_t from_float<bf16_t>(float value) {
  bf16_t result;
#if __CUDA_ARCH__ >= 800
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
#else
  const unsigned bits = __float_as_uint(value);
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  result.bits = static_cast<unsigned short>(is_nan ? (bits >> 16) | 0x40u
                                                   : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
#endif
  return result;
}

/// Rounds the bits of a float to tf32, which the matrix unit would otherwise truncate (a bias of 5e-4).
__device__ __forceinline__ unsigned round_to_tf32(unsigned bits) {
  unsigned result;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(result) : "f"(__uint_as_float(bits)));
  return result;
}

}  // namespace flexgemm
