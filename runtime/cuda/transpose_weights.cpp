#include "cuda/transpose_weights.hpp"

#include <algorithm>

#include "core/validate.hpp"
#include "cuda/kernel_parameters.hpp"

namespace flexgemm::detail {

void launch_transpose(const Kernel& kernel, const Conv3dOptions& conv, const void* weight, void* transposed,
                      const LaunchTarget& target) {
  constexpr std::int64_t tile = 64;  // templates/kernels/transpose_weights.cuh
  constexpr std::int64_t most_blocks = 1 << 20;
  const std::int64_t volume = std::int64_t{conv.kernel.x} * conv.kernel.y * conv.kernel.z;
  const std::int64_t tiles = ceil_div(conv.in_channels, tile) * ceil_div(conv.out_channels, tile) * volume;
  const TransposeWeightsParameters parameters{
      .weight = weight, .transposed = transposed, .mirrored = is_mirrored(conv.kernel) ? 1 : 0, .unused = 0};
  kernel.launch(std::min(tiles, most_blocks), 1, parameters, target);
}

void transpose_weight(KernelCache& kernels, const Conv3dOptions& conv, const void* weight, void* transposed,
                      Stream stream) {
  const PassShape layer{
      .op = Op::grad_input,
      .in_channels = conv.in_channels,
      .out_channels = conv.out_channels,
      .volume = conv.kernel.x * conv.kernel.y * conv.kernel.z,
      .dtype = conv.dtype,
      .second_alignment = alignment_of(weight),
      .output_dtype = storage_type(conv.dtype),
  };
  launch_transpose(kernels.get(transpose_spec(target_of(kernels.device()), layer)), conv, weight, transposed,
                   stream);
}

}  // namespace flexgemm::detail
