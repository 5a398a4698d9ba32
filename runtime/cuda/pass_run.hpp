#pragma once

#include <algorithm>

#include "cuda/gemm_pass.hpp"
#include "cuda/launch.hpp"

// What the steps of a pass share. One file beside this one for each family of passes: gather_gemm.cpp,
// grad_weight.cpp.

namespace flexgemm::detail {

/// A pass under way.
struct PassRun {
  KernelCache& kernels;
  const GemmPass& pass;
  const GemmChoice& choice;
  LaunchTarget stream;

  const CudaDevice& device() const { return kernels.device(); }
  /// Source of workspace.
  DeviceMemory& memory() const {
    return stream.recorder() == nullptr ? device().memory() : stream.recorder()->memory();
  }
  std::int64_t rows() const { return pass.map->rows; }
  std::int64_t volume() const { return pass.map->volume(); }
  std::int64_t element_bytes() const { return static_cast<std::int64_t>(size_of(pass.conv->dtype)); }
};

/// Blocks for a grid-stride kernel: enough to fill the device, no more than there is work for.
inline std::int64_t grid_stride_blocks(const CudaDevice& device, const Kernel& kernel,
                                       std::int64_t work_items) {
  constexpr std::int64_t blocks_per_multiprocessor = 16;
  const std::int64_t most = blocks_per_multiprocessor * device.properties().multiprocessors;
  return std::clamp<std::int64_t>(ceil_div(work_items, kernel.shape().threads), 1, most);
}

void run_forward(const PassRun& run);
/// The forward kernels over the inverse map, with the weights transposed first.
void run_grad_input(const PassRun& run);
void run_grad_weight(const PassRun& run);

}  // namespace flexgemm::detail
