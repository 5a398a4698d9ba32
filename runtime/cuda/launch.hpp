#pragma once

// Launching kernels of this library's own .cu files. They go through the CUDA runtime, which uses the context
// that the caller made current.

#include <cstdint>

#include <cuda_runtime.h>

namespace flexgemm::detail {

/// Throws Error{out_of_memory} or Error{driver} naming `what`, the error and its text, unless `result` is
/// cudaSuccess.
void require_success(cudaError_t result, const char* what);

inline std::int64_t ceil_div(std::int64_t dividend, std::int64_t divisor) {
  return (dividend + divisor - 1) / divisor;
}

#ifdef __CUDACC__
/// Launches `kernel` over `blocks` blocks of `threads` threads; no blocks, no launch. The error is the
/// launch's own: the runtime's last-error state, which the application may look at, is not consulted.
template <class... Parameters, class... Arguments>
void launch(const char* what, void (*kernel)(Parameters...), std::int64_t blocks, int threads,
            int shared_bytes, CUstream_st* stream, Arguments... arguments) {
  if (blocks == 0) return;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(blocks));
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = static_cast<std::size_t>(shared_bytes);
  config.stream = stream;
  require_success(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), what);
}
#endif

}  // namespace flexgemm::detail
