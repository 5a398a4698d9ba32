#pragma once

#include "ptx/wgmma.cuh"

// wgmma over MN-major operands (PTX ISA, wgmma, matrix descriptor and majorness; sm_90a, 16-bit types).

namespace flexgemm {

/// Matrix descriptor of an MN-major tile in blocks of 64 channels of kBlockBytes each, 128 bytes a pair:
/// leading offset between blocks, stride of 1,024 bytes between groups of eight pairs, 128-byte swizzle. The
/// tile starts at a multiple of 1,024 bytes; adding 128 moves on by 16 pairs.
template <int kBlockBytes>
__device__ __forceinline__ unsigned long long wgmma_pairs_descriptor(unsigned shared_address) {
  return static_cast<unsigned long long>((shared_address & 0x3ffff) >> 4) |
         (static_cast<unsigned long long>(kBlockBytes / 16) << 16) | (64ull << 32) | (1ull << 62);
}

#define FLEXGEMM_WGMMA_MN_MAJOR_TYPES(N, A, B)                          \
  FLEXGEMM_WGMMA(f16, "k16.f32.f16.f16", true, true, N, A, B, ", 1, 1") \
  FLEXGEMM_WGMMA(bf16, "k16.f32.bf16.bf16", true, true, N, A, B, ", 1, 1")

FLEXGEMM_WGMMA_MN_MAJOR_TYPES(16, 8, 9)
FLEXGEMM_WGMMA_MN_MAJOR_TYPES(32, 16, 17)
FLEXGEMM_WGMMA_MN_MAJOR_TYPES(64, 32, 33)
FLEXGEMM_WGMMA_MN_MAJOR_TYPES(96, 48, 49)
FLEXGEMM_WGMMA_MN_MAJOR_TYPES(128, 64, 65)
FLEXGEMM_WGMMA_MN_MAJOR_TYPES(192, 96, 97)
FLEXGEMM_WGMMA_MN_MAJOR_TYPES(256, 128, 129)

// a K-major, b MN-major in whole blocks.
#define FLEXGEMM_WGMMA_MN_MAJOR_SECOND_TYPES(N, A, B)                    \
  FLEXGEMM_WGMMA(f16, "k16.f32.f16.f16", false, true, N, A, B, ", 0, 1") \
  FLEXGEMM_WGMMA(bf16, "k16.f32.bf16.bf16", false, true, N, A, B, ", 0, 1")

FLEXGEMM_WGMMA_MN_MAJOR_SECOND_TYPES(64, 32, 33)
FLEXGEMM_WGMMA_MN_MAJOR_SECOND_TYPES(128, 64, 65)
FLEXGEMM_WGMMA_MN_MAJOR_SECOND_TYPES(192, 96, 97)
FLEXGEMM_WGMMA_MN_MAJOR_SECOND_TYPES(256, 128, 129)

}  // namespace flexgemm
