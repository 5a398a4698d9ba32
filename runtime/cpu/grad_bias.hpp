#pragma once

#include <cstdint>

#include "cpu/cpu_device.hpp"

namespace flexgemm::detail {

/// grad_bias[c] = sum over rows of grad_out[row, c], summed in double over chunks of rows that depend on the
/// shape alone. Adds to what grad_bias holds if `accumulate`.
void run_grad_bias(CpuDevice& device, const void* grad_out, DType storage, std::int64_t rows,
                   std::int64_t channels, void* grad_bias, DType grad_bias_dtype, bool accumulate);

}  // namespace flexgemm::detail
