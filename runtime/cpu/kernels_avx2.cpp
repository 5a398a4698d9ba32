#include "cpu/kernels.hpp"

#if defined(FLEXGEMM_HAS_X86_KERNELS)

#include <bit>
#include <cstdint>

#include <immintrin.h>

#include <flexgemm/half.hpp>

#define FLEXGEMM_LANES 8
#define FLEXGEMM_VECTORS 2
#define FLEXGEMM_F16C 1
#define FLEXGEMM_ROWS 6

// Only the kernels are compiled for this instruction set: an inline function of a header, compiled for it
// too, could be the copy that the linker keeps for everybody.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

namespace flexgemm::detail {
namespace {
#include "cpu/kernels_inline.hpp"
}  // namespace
}  // namespace flexgemm::detail

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

namespace flexgemm::detail {
const Kernels avx2_kernels = kernels_named("avx2");
}  // namespace flexgemm::detail

#endif
