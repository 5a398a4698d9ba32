#pragma once

#include <memory>

#include "core/frames.hpp"
#include "cuda/cuda_device.hpp"

namespace flexgemm::detail {

/// The device's context must be current.
std::shared_ptr<const VoxelizerData> make_cuda_voxelizer(std::shared_ptr<const CudaDevice> gpu,
                                                         const VoxelizerOptions& options, Stream stream);

}  // namespace flexgemm::detail
