#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <flexgemm/flexgemm.h>

#include "capi/owned.hpp"
#include "op/tensors.hpp"
#include "op/voxel_cloud.hpp"

namespace flexgemm::capi_test {

/// Fails the test with the library's sentence unless the call succeeded.
inline void require_ok(flexgemm_status status) {
  INFO(flexgemm_last_error_message());
  REQUIRE(std::string(flexgemm_status_name(status)) == "ok");
}

/// Checks a failure: the status, and one full sentence that holds every one of `texts`.
inline void check_failure(flexgemm_status status, flexgemm_status expected,
                          std::initializer_list<std::string> texts) {
  const std::string message = flexgemm_last_error_message();
  CAPTURE(message);
  CHECK(std::string(flexgemm_status_name(status)) == flexgemm_status_name(expected));
  CHECK(!message.empty());
  CHECK(message.find('\n') == std::string::npos);
  for (const std::string& text : texts) {
    CAPTURE(text);
    CHECK(message.find(text) != std::string::npos);
  }
}

/// A struct of the C interface, zero but for struct_size.
template <class Struct>
Struct zeroed() {
  Struct value{};
  value.struct_size = sizeof(Struct);
  return value;
}

inline Owned<flexgemm_context> open_cpu(const flexgemm_context_options* options = nullptr) {
  flexgemm_context* context = nullptr;
  require_ok(flexgemm_context_open(FLEXGEMM_DEVICE_CPU, 0, options, &context));
  REQUIRE(context != nullptr);
  return Owned<flexgemm_context>(context);
}

inline flexgemm_tensor view_of(const op_test::HostTensor& tensor) {
  std::int64_t shape[5] = {};
  for (int i = 0; i < tensor.shape().rank(); ++i) shape[i] = tensor.shape()[i];
  return flexgemm_make_tensor(tensor.bytes().data(), static_cast<flexgemm_dtype>(tensor.dtype()),
                              tensor.shape().rank(), shape);
}

/// A small layer with tensors in host memory, for the CPU device, in the C interface's terms.
struct Layer {
  explicit Layer(std::int64_t rows_ = 200, DType dtype_ = DType::f32, std::int64_t ci = 5,
                 std::int64_t co = 6)
      : rows(rows_),
        dtype(dtype_),
        cloud(op_test::voxel_cloud(rows, 1, false, 3)),
        feats(op_test::HostTensor::random(dtype, {rows, ci}, 1, 1)),
        weight(op_test::HostTensor::random(dtype, {co, 3, 3, 3, ci}, 0.1, 2)),
        bias(op_test::HostTensor::random(dtype, {co}, 1, 3)),
        grad_out(op_test::HostTensor::random(dtype, {rows, co}, 1, 4)),
        out(dtype, {rows, co}),
        grad_input(dtype, {rows, ci}),
        grad_weight(DType::f32, {co, 3, 3, 3, ci}),
        grad_bias(DType::f32, {co}),
        coords_view(flexgemm_tensor_2d(cloud.coords.data(), FLEXGEMM_I32, rows, 4)),
        grid(zeroed<flexgemm_grid>()),
        options(zeroed<flexgemm_conv3d_options>()) {
    grid.batch = cloud.grid.batch;
    grid.x = cloud.grid.x;
    grid.y = cloud.grid.y;
    grid.z = cloud.grid.z;
    options.in_channels = ci;
    options.out_channels = co;
    options.dtype = static_cast<flexgemm_dtype>(dtype);
  }

  Owned<flexgemm_map> map(const flexgemm_context* context) const {
    flexgemm_map* result = nullptr;
    require_ok(flexgemm_submanifold_map_create(context, &coords_view, &grid, nullptr, nullptr, &result));
    return Owned<flexgemm_map>(result);
  }
  Owned<flexgemm_conv3d> conv(const flexgemm_context* context) const {
    flexgemm_conv3d* result = nullptr;
    require_ok(flexgemm_conv3d_create(context, &options, &result));
    return Owned<flexgemm_conv3d>(result);
  }
  Owned<flexgemm_plan> plan(const flexgemm_conv3d* conv, const flexgemm_map* map,
                            const flexgemm_plan_options* plan_options) const {
    flexgemm_plan* result = nullptr;
    require_ok(flexgemm_plan_create(conv, map, plan_options, nullptr, &result));
    return Owned<flexgemm_plan>(result);
  }
  flexgemm_status forward(const flexgemm_conv3d* conv, const flexgemm_map* map) {
    const flexgemm_tensor in = view_of(feats), w = view_of(weight), b = view_of(bias), result = view_of(out);
    return flexgemm_conv3d_forward(conv, map, &in, &w, &b, &result, nullptr);
  }
  flexgemm_status backward(const flexgemm_conv3d* conv, const flexgemm_map* map) {
    const flexgemm_tensor gy = view_of(grad_out), in = view_of(feats), w = view_of(weight);
    const flexgemm_tensor gx = view_of(grad_input), gw = view_of(grad_weight), gb = view_of(grad_bias);
    flexgemm_gradients gradients = zeroed<flexgemm_gradients>();
    gradients.input = &gx;
    gradients.weight = &gw;
    gradients.bias = &gb;
    return flexgemm_conv3d_backward(conv, map, &gy, &in, &w, &gradients, nullptr);
  }
  /// All results in one piece, to compare bits.
  std::vector<std::byte> results() const {
    std::vector<std::byte> bytes;
    for (const op_test::HostTensor* tensor : {&out, &grad_input, &grad_weight, &grad_bias})
      bytes.insert(bytes.end(), tensor->bytes().begin(), tensor->bytes().end());
    return bytes;
  }

  std::int64_t rows;
  DType dtype;
  op_test::VoxelCloud cloud;
  op_test::HostTensor feats, weight, bias, grad_out, out, grad_input, grad_weight, grad_bias;
  flexgemm_tensor coords_view;
  flexgemm_grid grid;
  flexgemm_conv3d_options options;
};

}  // namespace flexgemm::capi_test
