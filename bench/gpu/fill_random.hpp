#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include <flexgemm/dtype.hpp>

namespace flexgemm::bench {

/// Enqueues the writing of scale * random_value(seed, i) to elements 0 ... count - 1 of a storage type.
cudaError_t fill_random_on_gpu(void* target, DType dtype, std::int64_t count, std::uint64_t seed, float scale,
                               cudaStream_t stream);

}  // namespace flexgemm::bench
