#include "cuda/backward_steps.hpp"

#include "cuda/launch.hpp"

namespace flexgemm::detail {

GradBias grad_bias_of(const BackwardArguments& arguments, const CudaDevice& device) {
  const std::int64_t channels = arguments.conv->out_channels;
  const std::int64_t rows = arguments.map->rows;
  return {.grad_out = arguments.grad_out,
          .dtype = storage_type(arguments.conv->dtype),
          .rows = rows,
          .channels = channels,
          .parts = grad_bias_parts(rows, channels, device.properties().multiprocessors),
          .partials = nullptr,
          .output = arguments.grad_bias,
          .output_dtype = arguments.grad_bias_dtype,
          .accumulate = arguments.accumulate};
}

void clear_gradients(const BackwardArguments& arguments, Stream stream) {
  if (arguments.accumulate) return;
  const Conv3dOptions& conv = *arguments.conv;
  const auto clear = [&](void* gradient, std::int64_t elements, DType dtype) {
    if (gradient == nullptr) return;
    require_success(
        cudaMemsetAsync(gradient, 0, static_cast<std::size_t>(elements) * size_of(dtype), stream.handle()),
        "clearing a gradient");
  };
  clear(arguments.grad_weight, arguments.map->volume() * conv.in_channels * conv.out_channels,
        arguments.grad_weight_dtype);
  clear(arguments.grad_bias, conv.out_channels, arguments.grad_bias_dtype);
}

}  // namespace flexgemm::detail
