#include <cstring>
#include <vector>

#include "api/layer.hpp"

using namespace flexgemm;
using namespace flexgemm::api_test;
using op_test::HostTensor;

namespace {

struct TransposedLayer : Layer {
  using Layer::Layer;
  Shape transposed_shape() const { return {in_channels, 3, 3, 3, out_channels}; }
  Gradients gradients(HostTensor& transposed) {
    return {.input = view(grad_input), .transposed_weight = view(transposed)};
  }
};

/// A float tensor whose data is aligned to 16 bytes plus `shift`.
struct Placed {
  Placed(const Shape& shape, std::size_t shift)
      : memory(static_cast<std::size_t>(shape.elements()) + 8),
        view{memory.data() + (16 - reinterpret_cast<std::uintptr_t>(memory.data()) % 16 + shift) / 4,
             DType::f32, shape} {}
  std::vector<float> memory;
  TensorView view;
};

}  // namespace

TEST_CASE("transposed weights have their axes exchanged, and the offsets reversed for odd kernels") {
  for (const Extent3 kernel : {Extent3{3, 3, 3}, Extent3{2, 3, 1}, Extent3{1, 1, 1}}) {
    for (const DType dtype : {DType::f32, DType::f16}) {
      CAPTURE(kernel.x, kernel.y, kernel.z, name(dtype));
      constexpr std::int64_t in = 70, out = 9;  // more than a tile of one, less of the other
      const std::int64_t volume = std::int64_t{kernel.x} * kernel.y * kernel.z;
      HostTensor weight = HostTensor::random(dtype, {out, kernel.x, kernel.y, kernel.z, in}, 1, 7);
      HostTensor transposed(dtype, {in, kernel.x, kernel.y, kernel.z, out});
      const Conv3d conv =
          cpu().conv3d({.in_channels = in, .out_channels = out, .kernel = kernel, .dtype = dtype});
      conv.transpose_weight(Layer::view(weight), Layer::view(transposed));
      const bool odd = kernel.x != 2;
      std::int64_t wrong = 0;
      for (std::int64_t ci = 0; ci < in; ++ci) {
        for (std::int64_t v = 0; v < volume; ++v) {
          for (std::int64_t co = 0; co < out; ++co) {
            const std::int64_t source = (co * volume + (odd ? volume - 1 - v : v)) * in + ci;
            wrong += transposed.at((ci * volume + v) * out + co) != weight.at(source);
          }
        }
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("a gradient with transposed weights has the bits of one without") {
  TransposedLayer layer;
  const NeighborMap map = layer.map(cpu());
  const Conv3d conv = cpu().conv3d(layer.options());
  HostTensor transposed(layer.dtype, layer.transposed_shape());
  conv.transpose_weight(Layer::view(layer.weight), Layer::view(transposed));
  conv.backward(map, Layer::view(layer.grad_out), {}, Layer::view(layer.weight),
                {.input = Layer::view(layer.grad_input)});
  const std::vector<std::byte> expected = layer.results();
  layer.grad_input = HostTensor(layer.dtype, {layer.rows, layer.in_channels});
  conv.backward(map, Layer::view(layer.grad_out), {}, Layer::view(layer.weight), layer.gradients(transposed));
  CHECK(layer.results() == expected);
  layer.grad_input = HostTensor(layer.dtype, {layer.rows, layer.in_channels});
  const Plan plan =
      conv.freeze(map, {.forward = false, .input_gradient = true, .transposed_weight = true, .alignment = 4});
  plan.backward(Layer::view(layer.grad_out), {}, Layer::view(layer.weight), layer.gradients(transposed));
  CHECK(layer.results() == expected);
}

TEST_CASE("transposed weights of another shape, type or address are refused") {
  TransposedLayer layer;
  const NeighborMap map = layer.map(cpu());
  const Conv3d conv = cpu().conv3d(layer.options());
  const ConstTensorView weight = Layer::view(layer.weight);
  Placed good(layer.transposed_shape(), 0), shifted(layer.transposed_shape(), 4);
  HostTensor narrow(DType::f16, layer.transposed_shape());
  const auto refused = [&](std::initializer_list<std::string> texts, const TensorView& transposed) {
    check_error(ErrorCode::invalid_argument, texts, [&] { conv.transpose_weight(weight, transposed); });
    check_error(ErrorCode::invalid_argument, texts, [&] {
      conv.backward(map, Layer::view(layer.grad_out), {}, weight,
                    {.input = Layer::view(layer.grad_input), .transposed_weight = transposed});
    });
  };
  CHECK_NOTHROW(conv.transpose_weight(weight, good.view));
  refused({"transposed", "multiple of 16"}, shifted.view);
  refused({"transposed", "f16"}, Layer::view(narrow));
  refused({"transposed", "[6, 3, 3, 3, 5]"}, Layer::view(layer.weight));
  refused({"transposed", "null"}, {nullptr, DType::f32, layer.transposed_shape()});
  const TensorView over_input{layer.grad_input.bytes().data(), DType::f32, layer.transposed_shape()};
  if (reinterpret_cast<std::uintptr_t>(over_input.data) % 16 == 0) {
    check_error(ErrorCode::invalid_argument, {"gradients.input", "overlaps", "transposed_weight"}, [&] {
      conv.backward(map, Layer::view(layer.grad_out), {}, weight,
                    {.input = Layer::view(layer.grad_input), .transposed_weight = over_input});
    });
  }
  check_error(ErrorCode::invalid_argument, {"transposed", "overlaps"}, [&] {
    conv.transpose_weight({good.view.data, DType::f32, weight.shape}, good.view);
  });
}

TEST_CASE("a plan takes transposed weights exactly if it was frozen for them") {
  TransposedLayer layer;
  const NeighborMap map = layer.map(cpu());
  const Conv3d conv = cpu().conv3d(layer.options());
  Placed transposed(layer.transposed_shape(), 0), shifted(layer.transposed_shape(), 4);
  conv.transpose_weight(Layer::view(layer.weight), transposed.view);
  const auto refused = [&](bool frozen_with, const TensorView& given,
                           std::initializer_list<std::string> texts) {
    const Plan plan = conv.freeze(
        map, {.forward = false, .input_gradient = true, .transposed_weight = frozen_with, .alignment = 4});
    check_error(ErrorCode::invalid_argument, texts, [&] {
      plan.backward(Layer::view(layer.grad_out), {}, Layer::view(layer.weight),
                    {.input = Layer::view(layer.grad_input), .transposed_weight = given});
    });
  };
  refused(true, {}, {"transposed_weight is absent", "PlanOptions::transposed_weight"});
  refused(false, transposed.view, {"transposed_weight is given", "PlanOptions::transposed_weight"});
  refused(true, shifted.view, {"transposed_weight", "multiple of 16"});
  check_error(ErrorCode::invalid_argument, {"transposed_weight", "input_gradient"},
              [&] { conv.freeze(map, {.transposed_weight = true}); });
}
