#pragma once

#include "core/backend.hpp"
#include "cuda/cuda_device.hpp"
#include "cuda/grad_bias.hpp"

// The parts of a backward call that are no GemmPass, shared by the backend and by plans.

namespace flexgemm::detail {

/// The bias gradient of a call, still without memory for its partial sums: parts * channels floats.
GradBias grad_bias_of(const BackwardArguments& arguments, const CudaDevice& device);

/// The gradients over no rows: zeros, or what is there if they accumulate.
void clear_gradients(const BackwardArguments& arguments, Stream stream);

}  // namespace flexgemm::detail
