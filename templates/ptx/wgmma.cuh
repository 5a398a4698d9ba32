#pragma once

#include "config.cuh"

// Warpgroup-wide matrix instructions (PTX ISA, wgmma; sm_90a). d is 64 x N floats over the 128 threads of a
// warpgroup, a 64 x 32 bytes and b N x 32 bytes of K, both K-major in shared memory with the 128-byte
// swizzle.

namespace flexgemm {

/// Orders this thread's register accesses before the next wgmma.
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

__device__ __forceinline__ void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/// Waits until at most kPending of this warpgroup's latest groups are still under way.
template <int kPending>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

/// Makes this thread's ordinary writes to shared memory (cp.async too) visible to wgmma.
__device__ __forceinline__ void fence_async_proxy() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/// Matrix descriptor of a K-major tile with 128-byte rows (PTX ISA, wgmma, matrix descriptor format): start
/// address, stride of 1,024 bytes between groups of eight rows, 128-byte swizzle. The tile starts at a
/// multiple of 1,024 bytes; adding 2 moves on by 32 bytes of K.
__device__ __forceinline__ unsigned long long wgmma_descriptor(unsigned shared_address) {
  return static_cast<unsigned long long>((shared_address & 0x3ffff) >> 4) | (1ull << 16) | (64ull << 32) |
         (1ull << 62);
}

// Register lists of the instruction, by its width N.
#define FLEXGEMM_WGMMA_D_16 "%0, %1, %2, %3, %4, %5, %6, %7"
#define FLEXGEMM_WGMMA_D_32 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define FLEXGEMM_WGMMA_D_64                                                               \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, " \
  "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define FLEXGEMM_WGMMA_D_96                                                               \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, " \
  "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, " \
  "%36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define FLEXGEMM_WGMMA_D_128                                                              \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, " \
  "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, " \
  "%36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, " \
  "%53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define FLEXGEMM_WGMMA_D_192                                                              \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, " \
  "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, " \
  "%36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, " \
  "%53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68, %69, " \
  "%70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, %83, %84, %85, %86, " \
  "%87, %88, %89, %90, %91, %92, %93, %94, %95"
#define FLEXGEMM_WGMMA_D_256                                                              \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, " \
  "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, " \
  "%36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, " \
  "%53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68, %69, " \
  "%70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, %83, %84, %85, %86, " \
  "%87, %88, %89, %90, %91, %92, %93, %94, %95, %96, %97, %98, %99, %100, %101, %102, "   \
  "%103, %104, %105, %106, %107, %108, %109, %110, %111, %112, %113, %114, %115, %116, "  \
  "%117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"

#define FLEXGEMM_WGMMA_8(i)                                                                   \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), \
      "+f"(d[i + 6]), "+f"(d[i + 7])
#define FLEXGEMM_WGMMA_32(i) \
  FLEXGEMM_WGMMA_8(i), FLEXGEMM_WGMMA_8(i + 8), FLEXGEMM_WGMMA_8(i + 16), FLEXGEMM_WGMMA_8(i + 24)
#define FLEXGEMM_WGMMA_R_16 FLEXGEMM_WGMMA_8(0)
#define FLEXGEMM_WGMMA_R_32 FLEXGEMM_WGMMA_8(0), FLEXGEMM_WGMMA_8(8)
#define FLEXGEMM_WGMMA_R_64 FLEXGEMM_WGMMA_32(0)
#define FLEXGEMM_WGMMA_R_96 FLEXGEMM_WGMMA_32(0), FLEXGEMM_WGMMA_8(32), FLEXGEMM_WGMMA_8(40)
#define FLEXGEMM_WGMMA_R_128 FLEXGEMM_WGMMA_32(0), FLEXGEMM_WGMMA_32(32)
#define FLEXGEMM_WGMMA_R_192 FLEXGEMM_WGMMA_32(0), FLEXGEMM_WGMMA_32(32), FLEXGEMM_WGMMA_32(64)
#define FLEXGEMM_WGMMA_R_256 \
  FLEXGEMM_WGMMA_32(0), FLEXGEMM_WGMMA_32(32), FLEXGEMM_WGMMA_32(64), FLEXGEMM_WGMMA_32(96)

/// Whether a and b lie MN-major (ptx/wgmma_pairs.cuh), else K-major.
template <ComputeType kCompute, int kColumns, bool kFirstMnMajor = false, bool kSecondMnMajor = kFirstMnMajor>
struct Wgmma;

// One instruction: d += a * b. `a` and `b` are descriptors; flags are the signs and, for 16-bit types, the
// majors.
#define FLEXGEMM_WGMMA(TYPE, SUFFIX, FIRST, SECOND, N, A, B, FLAGS)                        \
  template <>                                                                              \
  struct Wgmma<ComputeType::TYPE, N, FIRST, SECOND> {                                      \
    __device__ __forceinline__ static void run(float (&d)[N / 2], unsigned long long a,    \
                                               unsigned long long b) {                     \
      asm volatile("wgmma.mma_async.sync.aligned.m64n" #N SUFFIX " {" FLEXGEMM_WGMMA_D_##N \
                   "}, %" #A ", %" #B ", 1, 1, 1" FLAGS ";"                                \
                   : FLEXGEMM_WGMMA_R_##N                                                  \
                   : "l"(a), "l"(b));                                                      \
    }                                                                                      \
  };
#define FLEXGEMM_WGMMA_TYPES(N, A, B)                                        \
  FLEXGEMM_WGMMA(f16, "k16.f32.f16.f16", false, false, N, A, B, ", 0, 0")    \
  FLEXGEMM_WGMMA(bf16, "k16.f32.bf16.bf16", false, false, N, A, B, ", 0, 0") \
  FLEXGEMM_WGMMA(tf32, "k8.f32.tf32.tf32", false, false, N, A, B, "")

FLEXGEMM_WGMMA_TYPES(16, 8, 9)
FLEXGEMM_WGMMA_TYPES(32, 16, 17)
FLEXGEMM_WGMMA_TYPES(64, 32, 33)
FLEXGEMM_WGMMA_TYPES(96, 48, 49)
FLEXGEMM_WGMMA_TYPES(128, 64, 65)
FLEXGEMM_WGMMA_TYPES(192, 96, 97)
FLEXGEMM_WGMMA_TYPES(256, 128, 129)

}  // namespace flexgemm
