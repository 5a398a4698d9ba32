#pragma once

#include <cstdint>

#include "cpu/cpu_device.hpp"

namespace flexgemm::detail {

/// c [m, n] = a [m, k] * b [k, n], all row-major float. By the BLAS where the build has one (which then uses
/// its own threads), by the library's kernels otherwise.
void dense_gemm(CpuDevice& device, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
                const float* b, float* c);

/// c [m, n] = transpose of a [k, m] * b [k, n].
void dense_gemm_transposed(CpuDevice& device, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
                           const float* b, float* c);

}  // namespace flexgemm::detail
