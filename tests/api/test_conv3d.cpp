#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "api/layer.hpp"

using namespace flexgemm;
using namespace flexgemm::api_test;

namespace {

/// The views of a call, to be spoiled one at a time.
struct Call {
  explicit Call(Layer& layer_)
      : layer(layer_),
        map(layer.map(cpu())),
        conv(cpu().conv3d(layer.options())),
        feats(Layer::view(layer.feats)),
        weight(Layer::view(layer.weight)),
        bias(Layer::view(layer.bias)),
        grad_out(Layer::view(layer.grad_out)),
        out(Layer::view(layer.out)),
        gradients{Layer::view(layer.grad_input), Layer::view(layer.grad_weight),
                  Layer::view(layer.grad_bias)} {}
  void forward() const { conv.forward(map, feats, weight, bias, out); }
  void backward() const { conv.backward(map, grad_out, feats, weight, gradients); }

  Layer& layer;
  NeighborMap map;
  Conv3d conv;
  ConstTensorView feats, weight, bias, grad_out;
  TensorView out;
  Gradients gradients;
};

/// Spoils one view in every way that a call must notice; `check` runs the call.
template <class View, class Check>
void check_spoiled(const std::string& what, View& view, const Check& check) {
  const View good = view;
  view.shape = {3, 1000};
  check({what, "[3, 1000]", to_string(good.shape)});
  view = good;
  view.dtype = DType::i32;
  check({what, "i32"});
  view = good;
  view.dtype = DType::bf16;
  check({what, "bf16"});
  view = good;
  view.data = nullptr;
  check({what, "null", to_string(good.shape)});
  view = good;
  using Byte = std::conditional_t<std::is_same_v<View, TensorView>, std::byte, const std::byte>;
  view.data = static_cast<Byte*>(good.data) + 1;
  check({what, "multiple of its element size 4"});
  view = good;
}

}  // namespace

TEST_CASE("a convolution refuses channels and kernels outside their limits") {
  for (const std::int64_t channels :
       {std::int64_t{0}, std::int64_t{-5}, std::int64_t{1048577}, std::int64_t{1} << 62}) {
    check_error(ErrorCode::invalid_argument, {"in_channels", std::to_string(channels)},
                [&] { (void)cpu().conv3d({.in_channels = channels, .out_channels = 4}); });
    check_error(ErrorCode::invalid_argument, {"out_channels", std::to_string(channels)},
                [&] { (void)cpu().conv3d({.in_channels = 4, .out_channels = channels}); });
  }
  check_error(ErrorCode::invalid_argument, {"3x8x3"}, [] {
    (void)cpu().conv3d({.in_channels = 4, .out_channels = 4, .kernel = {3, 8, 3}});
  });
  check_error(ErrorCode::invalid_argument, {"i32"},
              [] { (void)cpu().conv3d({.in_channels = 4, .out_channels = 4, .dtype = DType::i32}); });
  const Conv3d largest = cpu().conv3d({.in_channels = 1048576, .out_channels = 1048576, .kernel = {7, 7, 7}});
  CHECK(largest.options().in_channels == 1048576);
  CHECK(bool(largest));
  CHECK(!Conv3d());
}

TEST_CASE("forward refuses tensors of the wrong shape, type or address and says which") {
  Layer layer;
  Call call(layer);
  const auto check = [&](std::initializer_list<std::string> texts) {
    check_error(ErrorCode::invalid_argument, texts, [&] { call.forward(); });
  };
  check_spoiled("feats", call.feats, check);
  check_spoiled("weight", call.weight, check);
  check_spoiled("bias", call.bias, check);
  check_spoiled("out", call.out, check);
  call.out = {};
  check({"out", "absent", "[300, 6]"});
  call.out = Layer::view(layer.out);
  call.feats = {};
  check({"feats", "absent"});
  call.feats = Layer::view(layer.feats);
  CHECK_NOTHROW(call.forward());
}

TEST_CASE("backward refuses tensors of the wrong shape, type or address and says which") {
  Layer layer;
  Call call(layer);
  const auto check = [&](std::initializer_list<std::string> texts) {
    check_error(ErrorCode::invalid_argument, texts, [&] { call.backward(); });
  };
  check_spoiled("grad_out", call.grad_out, check);
  check_spoiled("feats", call.feats, check);
  check_spoiled("weight", call.weight, check);
  check_spoiled("gradients.input", call.gradients.input, check);
  check_spoiled("gradients.weight", call.gradients.weight, check);
  check_spoiled("gradients.bias", call.gradients.bias, check);
  CHECK_NOTHROW(call.backward());
}

TEST_CASE("an output that overlaps an input or another output is refused") {
  Layer layer(300, DType::f32, 6, 6);
  Call call(layer);
  const auto check_forward = [&](std::initializer_list<std::string> texts) {
    check_error(ErrorCode::invalid_argument, texts, [&] { call.forward(); });
  };
  for (const ConstTensorView* input : {&call.feats, &call.weight, &call.bias}) {
    const TensorView good = call.out;
    call.out.data = const_cast<void*>(input->data);
    check_forward({"out", "overlaps"});
    call.out = good;
  }
  // The last float of the output is the first of the input.
  std::vector<float> shared(2 * 300 * 6 - 1);
  call.out.data = shared.data();
  call.feats.data = shared.data() + 300 * 6 - 1;
  check_forward({"out", "feats", "overlaps"});
  call.feats = Layer::view(layer.feats);
  call.out = Layer::view(layer.out);

  const auto check_backward = [&](const char* output, TensorView& view, const void* other) {
    const TensorView good = view;
    view.data = const_cast<void*>(other);
    check_error(ErrorCode::invalid_argument, {output, "overlaps"}, [&] { call.backward(); });
    view = good;
  };
  Gradients& gradients = call.gradients;
  for (const void* input : {call.grad_out.data, call.feats.data, call.weight.data}) {
    check_backward("gradients.input", gradients.input, input);
    check_backward("gradients.weight", gradients.weight, input);
    check_backward("gradients.bias", gradients.bias, input);
  }
  check_backward("gradients.", gradients.weight, gradients.input.data);
  check_backward("gradients.", gradients.bias, gradients.input.data);
  check_backward("gradients.", gradients.bias, gradients.weight.data);
  CHECK_NOTHROW(call.backward());
}

TEST_CASE("a convolution refuses an empty map and a map of another kernel") {
  Layer layer;
  Call call(layer);
  call.map = {};
  check_error(ErrorCode::invalid_argument, {"map", "empty"}, [&] { call.forward(); });
  check_error(ErrorCode::invalid_argument, {"map", "empty"}, [&] { call.backward(); });
  check_error(ErrorCode::invalid_argument, {"map", "empty"},
              [&] { (void)call.conv.choice(call.map, Op::forward); });
  call.map = cpu().submanifold_map(view_of(layer.cloud.coords), layer.cloud.grid, {.kernel = {3, 1, 5}});
  check_error(ErrorCode::invalid_argument, {"3x1x5", "3x3x3"}, [&] { call.forward(); });
  check_error(ErrorCode::invalid_argument, {"3x1x5", "3x3x3"}, [&] { call.backward(); });
}

TEST_CASE("tensors that a gradient does not need may be absent, and those it needs may not") {
  Layer layer;
  Call call(layer);
  const Gradients all = call.gradients;
  call.feats = {};
  call.gradients = {.input = all.input};
  CHECK_NOTHROW(call.backward());
  call.gradients = {.weight = all.weight};
  check_error(ErrorCode::invalid_argument, {"feats", "absent"}, [&] { call.backward(); });
  call.weight = {};
  call.gradients = {.bias = all.bias};
  CHECK_NOTHROW(call.backward());
  call.gradients = {.input = all.input};
  check_error(ErrorCode::invalid_argument, {"weight", "absent"}, [&] { call.backward(); });
  call.feats = Layer::view(layer.feats);
  call.gradients = {.weight = all.weight};
  CHECK_NOTHROW(call.backward());
  call.gradients = {};
  CHECK_NOTHROW(call.backward());
}

TEST_CASE("bias and parameter gradients may be float beside 16-bit features") {
  Layer layer(300, DType::f16);
  Call call(layer);
  auto bias = op_test::HostTensor::random(DType::f32, {6}, 1, 9);
  op_test::HostTensor grad_weight(DType::f32, layer.grad_weight.shape());
  op_test::HostTensor grad_bias(DType::f32, {6});
  call.bias = Layer::view(bias);
  call.gradients.weight = Layer::view(grad_weight);
  call.gradients.bias = Layer::view(grad_bias);
  CHECK_NOTHROW(call.forward());
  CHECK_NOTHROW(call.backward());
  call.gradients.input.dtype = DType::f32;
  check_error(ErrorCode::invalid_argument, {"gradients.input", "f32", "f16"}, [&] { call.backward(); });
}

TEST_CASE("tf32 tensors may be called f32 and the other way round") {
  Layer layer;
  layer.dtype = DType::tf32;
  Call call(layer);
  call.feats.dtype = DType::tf32;
  CHECK_NOTHROW(call.forward());
}

TEST_CASE("float weight gradients of f16 features do not overflow at 65504") {
  const std::int64_t rows = 4000;
  Layer layer(rows, DType::f16, 1, 1);
  for (op_test::HostTensor* tensor : {&layer.feats, &layer.grad_out}) {
    const f16 eight = to_f16(8.0f);
    for (std::int64_t i = 0; i < rows; ++i) std::memcpy(tensor->bytes().data() + i * 2, &eight, 2);
  }
  Call call(layer);
  op_test::HostTensor grad_weight(DType::f32, layer.grad_weight.shape());
  call.gradients = {.weight = Layer::view(grad_weight)};
  call.backward();
  CHECK(grad_weight.at(13) == 64.0 * rows);  // the centre tap pairs every row with itself
  call.gradients = {.weight = Layer::view(layer.grad_weight)};
  call.backward();
  CHECK(std::isinf(layer.grad_weight.at(13)));
}

TEST_CASE("without rows forward does nothing, gradients are zeros and accumulation changes nothing") {
  Layer layer(0);
  Call call(layer);
  for (ConstTensorView* view : {&call.feats, &call.grad_out}) view->data = nullptr;
  call.out.data = nullptr;
  call.gradients.input.data = nullptr;
  CHECK_NOTHROW(call.forward());
  layer.grad_weight = op_test::HostTensor::random(DType::f32, layer.grad_weight.shape(), 1, 5);
  layer.grad_bias = op_test::HostTensor::random(DType::f32, layer.grad_bias.shape(), 1, 6);
  call.gradients.weight = Layer::view(layer.grad_weight);
  call.gradients.bias = Layer::view(layer.grad_bias);
  const auto weight_before = layer.grad_weight.bytes();
  const auto bias_before = layer.grad_bias.bytes();
  call.gradients.accumulate = true;
  call.backward();
  CHECK(layer.grad_weight.bytes() == weight_before);
  CHECK(layer.grad_bias.bytes() == bias_before);
  call.gradients.accumulate = false;
  call.backward();
  for (std::int64_t i = 0; i < layer.grad_weight.elements(); ++i) REQUIRE(layer.grad_weight.at(i) == 0);
  for (std::int64_t i = 0; i < layer.grad_bias.elements(); ++i) REQUIRE(layer.grad_bias.at(i) == 0);
}

TEST_CASE("choice names the pinned algorithm, and never 'auto'") {
  Layer layer;
  const NeighborMap map = layer.map(cpu());
  for (const Op op : {Op::forward, Op::grad_input, Op::grad_weight}) {
    for (const Algorithm algorithm :
         {Algorithm::automatic, Algorithm::explicit_gemm, Algorithm::implicit_gemm,
          Algorithm::implicit_gemm_splitk, Algorithm::masked_implicit_gemm,
          Algorithm::masked_implicit_gemm_splitk}) {
      CAPTURE(name(op), name(algorithm));
      try {
        const KernelChoice choice = cpu().conv3d(layer.options(algorithm)).choice(map, op);
        CHECK(choice.algorithm != Algorithm::automatic);
        if (algorithm != Algorithm::automatic) CHECK(choice.algorithm == algorithm);
        CHECK(!choice.kernel.empty());
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::unsupported);
        CHECK(algorithm != Algorithm::automatic);
      }
    }
  }
}
