#pragma once

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <flexgemm/error.hpp>

namespace flexgemm::bench {

/// Throws Error with the failed call and the runtime's reason.
inline void check_cuda(cudaError_t result, const char* call) {
  if (result == cudaSuccess) return;
  cudaGetLastError();  // forget it, where it can be forgotten
  const bool memory = result == cudaErrorMemoryAllocation;
  throw Error(
      memory ? ErrorCode::out_of_memory : ErrorCode::driver,
      fmt::format("{} failed with {} ({}): {}{}", call, cudaGetErrorName(result), static_cast<int>(result),
                  cudaGetErrorString(result), memory ? "; measure fewer channels or free the GPU" : ""));
}

}  // namespace flexgemm::bench

#define FLEXGEMM_BENCH_CUDA(function, ...) ::flexgemm::bench::check_cuda(function(__VA_ARGS__), #function)
