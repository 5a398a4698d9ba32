#pragma once

// The CUDA language as far as the templates use it, for a host compiler.

#include <math.h>

#include "machine_interface.hpp"

#define __device__
#define __host__
#define __global__
// Static in a function and allowed after extern; one thread runs everything, and every resident block has its
// own copy of the code and so of its thread-local memory.
#define __shared__ thread_local
#define __forceinline__ inline
#define __grid_constant__
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define threadIdx (flexgemm::emulator::current_view->thread)
#define blockIdx (flexgemm::emulator::current_view->block)
#define blockDim (flexgemm::emulator::current_view->block_size)
#define gridDim (flexgemm::emulator::current_view->grid)

struct alignas(8) ushort4 {
  unsigned short x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline int2 make_int2(int x, int y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

inline float __uint_as_float(unsigned bits) { return __builtin_bit_cast(float, bits); }
inline unsigned __float_as_uint(float value) { return __builtin_bit_cast(unsigned, value); }

inline void __syncthreads() { flexgemm::emulator::block_barrier(); }
inline void __syncwarp() { flexgemm::emulator::warp_barrier(); }
inline void __threadfence() {}
inline void __nanosleep(unsigned) { flexgemm::emulator::spin(); }

template <class T>
inline T __ldg(const T* pointer) {
  flexgemm::emulator::check_global(pointer, sizeof(T));
  return *pointer;
}
template <class T>
inline T __ldcg(const T* pointer) {
  return __ldg(pointer);
}
inline int atomicAdd(int* target, int value) {
  flexgemm::emulator::check_global(target, sizeof(int));
  const int before = *target;
  *target = before + value;
  return before;
}

inline int __popc(unsigned value) { return __builtin_popcount(value); }
inline int __ffs(int value) { return __builtin_ffs(value); }

inline unsigned __shfl_sync(unsigned, unsigned value, int source_lane) {
  return flexgemm::emulator::exchange(value, source_lane);
}
inline unsigned __shfl_xor_sync(unsigned, unsigned value, int distance) {
  return flexgemm::emulator::exchange(value, static_cast<int>(threadIdx.x % 32) ^ distance);
}
inline bool __any_sync(unsigned, bool value) { return flexgemm::emulator::any(value); }
