#include <cmath>
#include <cstring>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <flexgemm/flexgemm.hpp>

#include "pinned_layer.hpp"

using namespace flexgemm;
using namespace flexgemm::cuda_test;

namespace {

constexpr std::int64_t rows = 3000;

/// grad_input of a layer through the public interface, in device memory.
struct GradInput {
  GradInput(DType type, std::int64_t in_channels, std::int64_t out_channels, const Extent3& kernel)
      : dtype(type),
        conv_options{
            .in_channels = in_channels, .out_channels = out_channels, .kernel = kernel, .dtype = type},
        volume(std::int64_t{kernel.x} * kernel.y * kernel.z),
        coords(backend, random_coords(pinned_box, rows, 5)),
        weight(backend, stored(random(out_channels * volume * in_channels, 1), type)),
        other(backend, stored(random(out_channels * volume * in_channels, 2), type)),
        grad_out(backend, stored(random(rows * out_channels, 3), type)),
        grad_input(backend, poison()),
        transposed(backend, std::vector<std::uint8_t>(weight_bytes(), 0xff)),
        map(context.submanifold_map({coords.data(), DType::i32, {rows, 4}}, pinned_box.grid,
                                    {.kernel = kernel})),
        conv(context.conv3d(conv_options)) {}

  static std::vector<float> random(std::int64_t count, unsigned seed) {
    std::mt19937 generator(seed);
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = std::normal_distribution<float>()(generator);
    return values;
  }
  std::size_t weight_bytes() const {
    return static_cast<std::size_t>(conv_options.in_channels * conv_options.out_channels * volume) *
           size_of(dtype);
  }
  std::vector<std::uint8_t> poison() const {
    return std::vector<std::uint8_t>(
        static_cast<std::size_t>(rows * conv_options.in_channels) * size_of(dtype), 0xff);
  }
  ConstTensorView weights(const void* data) const {
    const Extent3& k = conv_options.kernel;
    return {data, dtype, {conv_options.out_channels, k.x, k.y, k.z, conv_options.in_channels}};
  }
  TensorView transposed_view() const {
    const Extent3& k = conv_options.kernel;
    return {transposed.data(), dtype, {conv_options.in_channels, k.x, k.y, k.z, conv_options.out_channels}};
  }
  ConstTensorView grad_out_view() const {
    return {grad_out.data(), dtype, {rows, conv_options.out_channels}};
  }
  Gradients gradients(const TensorView& cached) const {
    return {.input = {grad_input.data(), dtype, {rows, conv_options.in_channels}},
            .transposed_weight = cached};
  }
  /// The result, which is poisoned again.
  std::vector<std::uint8_t> take() {
    backend->synchronize({});
    const std::vector<std::uint8_t> poisoned = poison();
    std::vector<std::uint8_t> bytes =
        to_host(*backend, grad_input.data(), static_cast<std::int64_t>(poisoned.size()));
    backend->copy_to_device(grad_input.data(), poisoned.data(), poisoned.size(), {});
    return bytes;
  }

  DType dtype;
  Conv3dOptions conv_options;
  std::int64_t volume;
  std::shared_ptr<detail::CudaBackend> backend = open_gpu();
  Context context = Context::open(Device::cuda(0), {.cache = {.folder = kernel_folder()}});
  OnDevice<std::int32_t> coords;
  OnDevice<std::uint8_t> weight, other, grad_out, grad_input, transposed;
  NeighborMap map;
  Conv3d conv;
};

}  // namespace

TEST_CASE("a gradient of the input with cached transposed weights has the bits of one without") {
  const DType dtype = GENERATE(DType::f32, DType::tf32, DType::f16, DType::bf16);
  const Extent3 kernel = GENERATE(Extent3{3, 3, 3}, Extent3{2, 3, 3});
  CAPTURE(name(dtype), kernel.x);
  GradInput layer(dtype, 48, 80, kernel);
  layer.conv.backward(layer.map, layer.grad_out_view(), {}, layer.weights(layer.weight.data()),
                      layer.gradients({}));
  const std::vector<std::uint8_t> expected = layer.take();
  layer.conv.transpose_weight(layer.weights(layer.weight.data()), layer.transposed_view());
  layer.conv.backward(layer.map, layer.grad_out_view(), {}, layer.weights(layer.weight.data()),
                      layer.gradients(layer.transposed_view()));
  CHECK(layer.take() == expected);
  const Plan plan =
      layer.conv.freeze(layer.map, {.forward = false, .input_gradient = true, .transposed_weight = true});
  plan.backward(layer.grad_out_view(), {}, layer.weights(layer.weight.data()),
                layer.gradients(layer.transposed_view()));
  CHECK(layer.take() == expected);
}

TEST_CASE("kernels that need transposed weights take the caller's, and a plan then needs no room for them") {
  GradInput layer(DType::tf32, 48, 80, {3, 3, 3});
  layer.conv.backward(layer.map, layer.grad_out_view(), {}, layer.weights(layer.weight.data()),
                      layer.gradients({}));
  const std::vector<std::uint8_t> expected = layer.take();
  layer.conv.transpose_weight(layer.weights(layer.weight.data()), layer.transposed_view());
  // Other weights beside them show which of the two are read.
  layer.conv.backward(layer.map, layer.grad_out_view(), {}, layer.weights(layer.other.data()),
                      layer.gradients(layer.transposed_view()));
  CHECK(layer.take() == expected);
  const Plan without = layer.conv.freeze(layer.map, {.forward = false, .input_gradient = true});
  const Plan with = layer.conv.freeze(
      layer.map, {.forward = false, .input_gradient = true, .transposed_weight = true, .like = &without});
  CHECK(with.choice(Op::grad_input).kernel == without.choice(Op::grad_input).kernel);
  CHECK(with.workspace_bytes() + layer.weight_bytes() <= without.workspace_bytes());
  with.backward(layer.grad_out_view(), {}, layer.weights(layer.other.data()),
                layer.gradients(layer.transposed_view()));
  CHECK(layer.take() == expected);
}
