#pragma once

#include "cuda/pass_run.hpp"

namespace flexgemm::detail {

/// Enqueues Conv3d::transpose_weight as `kernel` does it, a transpose_weights: `transposed` is aligned to 16
/// bytes. The device's context must be current.
void launch_transpose(const Kernel& kernel, const Conv3dOptions& conv, const void* weight, void* transposed,
                      const LaunchTarget& target);

/// The same with the kernel that suits the layer and the address of `weight`.
void transpose_weight(KernelCache& kernels, const Conv3dOptions& conv, const void* weight, void* transposed,
                      Stream stream);

}  // namespace flexgemm::detail
