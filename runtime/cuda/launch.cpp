#include "cuda/launch.hpp"

#include "core/fail.hpp"

namespace flexgemm::detail {

void require_success(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  const ErrorCode code = result == cudaErrorMemoryAllocation ? ErrorCode::out_of_memory : ErrorCode::driver;
  fail(code, "{} failed with {} ({}): {}", what, cudaGetErrorName(result), static_cast<int>(result),
       cudaGetErrorString(result));
}

}  // namespace flexgemm::detail
