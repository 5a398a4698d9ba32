// Stands in for runtime/cuda/ in builds without a CUDA toolkit.
#include <flexgemm/kernels.hpp>
#include <flexgemm/system.hpp>

#include "core/backend.hpp"
#include "core/fail.hpp"

namespace flexgemm {

int cuda_device_count() noexcept { return 0; }

void compile_kernels(std::span<const std::string> specs, const CompileOptions&) {
  if (specs.empty()) return;
  detail::fail(
      ErrorCode::compile,
      "kernels cannot be compiled: this build of FlexGEMM has no CUDA backend; install a CUDA toolkit and "
      "configure with -DFLEXGEMM_CUDA=ON");
}

SystemInformation system_information() {
  SystemInformation information;
  information.driver_problem = "this build of FlexGEMM has no CUDA backend";
  information.compiler_problem = information.driver_problem;
  return information;
}

namespace detail {

std::shared_ptr<Backend> open_cuda_backend(int ordinal, const ContextOptions&) {
  fail(ErrorCode::no_device,
       "cuda:{} cannot be opened: this build of FlexGEMM has no CUDA backend; install a CUDA toolkit and "
       "configure "
       "with -DFLEXGEMM_CUDA=ON, or use the device cpu",
       ordinal);
}

}  // namespace detail
}  // namespace flexgemm
