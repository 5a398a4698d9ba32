#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <flexgemm/flexgemm.hpp>

#include "api/support.hpp"
#include "op/tensors.hpp"
#include "op/voxel_cloud.hpp"

namespace flexgemm::api_test {

/// A context of the CPU, shared by the cases of a program.
inline const Context& cpu() {
  static const Context context = Context::open(Device::cpu());
  return context;
}

/// A small layer with tensors in host memory, for the CPU device.
struct Layer {
  explicit Layer(std::int64_t rows_ = 300, DType dtype_ = DType::f32, std::int64_t in_channels_ = 5,
                 std::int64_t out_channels_ = 6)
      : rows(rows_),
        dtype(dtype_),
        in_channels(in_channels_),
        out_channels(out_channels_),
        cloud(op_test::voxel_cloud(rows, 1, false, 3)),
        feats(op_test::HostTensor::random(dtype, {rows, in_channels}, 1, 1)),
        weight(op_test::HostTensor::random(dtype, {out_channels, 3, 3, 3, in_channels}, 0.1, 2)),
        bias(op_test::HostTensor::random(dtype, {out_channels}, 1, 3)),
        grad_out(op_test::HostTensor::random(dtype, {rows, out_channels}, 1, 4)),
        out(dtype, {rows, out_channels}),
        grad_input(dtype, {rows, in_channels}),
        grad_weight(dtype, {out_channels, 3, 3, 3, in_channels}),
        grad_bias(dtype, {out_channels}) {}

  Conv3dOptions options(Algorithm algorithm = Algorithm::automatic) const {
    return {.in_channels = in_channels, .out_channels = out_channels, .dtype = dtype, .algorithm = algorithm};
  }
  NeighborMap map(const Context& context) const {
    return context.submanifold_map(view_of(cloud.coords), cloud.grid);
  }
  void forward(const Context& context, const NeighborMap& on, Algorithm algorithm = Algorithm::automatic) {
    context.conv3d(options(algorithm)).forward(on, view(feats), view(weight), view(bias), view(out));
  }
  void backward(const Context& context, const NeighborMap& on, Algorithm algorithm = Algorithm::automatic) {
    context.conv3d(options(algorithm))
        .backward(on, view(grad_out), view(feats), view(weight),
                  {.input = view(grad_input), .weight = view(grad_weight), .bias = view(grad_bias)});
  }
  /// All results in one piece, to compare bits.
  std::vector<std::byte> results() const {
    std::vector<std::byte> bytes;
    for (const op_test::HostTensor* tensor : {&out, &grad_input, &grad_weight, &grad_bias})
      bytes.insert(bytes.end(), tensor->bytes().begin(), tensor->bytes().end());
    return bytes;
  }

  static TensorView view(op_test::HostTensor& tensor) {
    return {tensor.bytes().data(), tensor.dtype(), tensor.shape()};
  }

  std::int64_t rows;
  DType dtype;
  std::int64_t in_channels, out_channels;
  op_test::VoxelCloud cloud;
  op_test::HostTensor feats, weight, bias, grad_out, out, grad_input, grad_weight, grad_bias;
};

}  // namespace flexgemm::api_test
