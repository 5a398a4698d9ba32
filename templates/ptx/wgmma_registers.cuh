#pragma once

#include "ptx/wgmma.cuh"

// wgmma with a in registers (PTX ISA, wgmma, register fragments for .m64nNk16 and .m64nNk8; sm_90a). Of the
// 64 rows of a, warp w of the warpgroup holds 16 w to 16 w + 15 as mma's fragment of 16 x 32 bytes: a[0] row
// l / 4, a[1] row l / 4 + 8, both at bytes 4 (l % 4) of K; a[2] and a[3] the same 16 bytes further on. What
// load_matrix_x4 gives is such a fragment.

namespace flexgemm {

/// kMnMajor: b lies MN-major (ptx/wgmma_pairs.cuh, 16-bit types), else K-major.
template <ComputeType kCompute, int kColumns, bool kMnMajor = false>
struct WgmmaRegisters;

// ptxas keeps a's registers until the wait only where it can see it: in straight code. Seen in the machine
// code of products in branches of their own that took turns with two sets and waited for all but the latest:
// both sets were one. Where products are in branches, wait for all of them before `a` is loaded.

/// To be called once the products that read `a` were waited for: until then it may not change. It tells the
/// compiler in front of ptxas alone.
__device__ __forceinline__ void wgmma_release(unsigned (&a)[4]) {
  asm volatile("" : "+r"(a[0]), "+r"(a[1]), "+r"(a[2]), "+r"(a[3])::"memory");
}

// One instruction: d += a * b. `a` must stay as it is until the product was waited for. `b` is a descriptor;
// flags are the signs and, for 16-bit types, the major of b.
#define FLEXGEMM_WGMMA_REGISTERS(TYPE, SUFFIX, MN_MAJOR, N, A0, A1, A2, A3, B, FLAGS)        \
  template <>                                                                                \
  struct WgmmaRegisters<ComputeType::TYPE, N, MN_MAJOR> {                                    \
    __device__ __forceinline__ static void run(float (&d)[N / 2], const unsigned (&a)[4],    \
                                               unsigned long long b) {                       \
      asm volatile("wgmma.mma_async.sync.aligned.m64n" #N SUFFIX " {" FLEXGEMM_WGMMA_D_##N   \
                   "}, {%" #A0 ", %" #A1 ", %" #A2 ", %" #A3 "}, %" #B ", 1, 1, 1" FLAGS ";" \
                   : FLEXGEMM_WGMMA_R_##N                                                    \
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));                    \
    }                                                                                        \
  };
#define FLEXGEMM_WGMMA_REGISTERS_TYPES(N, A0, A1, A2, A3, B)                              \
  FLEXGEMM_WGMMA_REGISTERS(f16, "k16.f32.f16.f16", false, N, A0, A1, A2, A3, B, ", 0")    \
  FLEXGEMM_WGMMA_REGISTERS(bf16, "k16.f32.bf16.bf16", false, N, A0, A1, A2, A3, B, ", 0") \
  FLEXGEMM_WGMMA_REGISTERS(tf32, "k8.f32.tf32.tf32", false, N, A0, A1, A2, A3, B, "")     \
  FLEXGEMM_WGMMA_REGISTERS(f16, "k16.f32.f16.f16", true, N, A0, A1, A2, A3, B, ", 1")     \
  FLEXGEMM_WGMMA_REGISTERS(bf16, "k16.f32.bf16.bf16", true, N, A0, A1, A2, A3, B, ", 1")

FLEXGEMM_WGMMA_REGISTERS_TYPES(16, 8, 9, 10, 11, 12)
FLEXGEMM_WGMMA_REGISTERS_TYPES(32, 16, 17, 18, 19, 20)
FLEXGEMM_WGMMA_REGISTERS_TYPES(64, 32, 33, 34, 35, 36)
FLEXGEMM_WGMMA_REGISTERS_TYPES(96, 48, 49, 50, 51, 52)
FLEXGEMM_WGMMA_REGISTERS_TYPES(128, 64, 65, 66, 67, 68)
FLEXGEMM_WGMMA_REGISTERS_TYPES(192, 96, 97, 98, 99, 100)
FLEXGEMM_WGMMA_REGISTERS_TYPES(256, 128, 129, 130, 131, 132)

}  // namespace flexgemm
