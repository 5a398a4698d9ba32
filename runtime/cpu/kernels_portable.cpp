#include <bit>
#include <cstdint>

#include <flexgemm/half.hpp>

#include "cpu/kernels.hpp"

// 128-bit vectors: SSE2 on x86-64, NEON on AArch64.
#define FLEXGEMM_LANES 4
#define FLEXGEMM_VECTORS 2
#define FLEXGEMM_ROWS 4

namespace flexgemm::detail {
namespace {
#include "cpu/kernels_inline.hpp"
}  // namespace

const Kernels portable_kernels = kernels_named("portable");
}  // namespace flexgemm::detail
