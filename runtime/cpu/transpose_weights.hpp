#pragma once

#include <flexgemm/conv3d.hpp>

#include "cpu/cpu_device.hpp"

namespace flexgemm::detail {

/// Conv3d::transpose_weight: [Co, V, Ci] to [Ci, V, Co], the offsets the other way round for odd kernels.
void run_transpose_weight(CpuDevice& device, const Conv3dOptions& conv, const void* weight, void* transposed);

}  // namespace flexgemm::detail
