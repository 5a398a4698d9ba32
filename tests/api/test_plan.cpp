#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "api/layer.hpp"

using namespace flexgemm;
using namespace flexgemm::api_test;
using op_test::HostTensor;

namespace {

/// A plan for everything, and a layer whose tensors fit it.
struct Frozen : Layer {
  explicit Frozen(const PlanOptions& options = everything()) : options_(options) {
    const NeighborMap on = map(cpu());
    plan = cpu().conv3d(this->Layer::options()).freeze(on, options_);
  }
  static PlanOptions everything() {
    return {.bias = DType::f32,
            .input_gradient = true,
            .weight_gradient = true,
            .bias_gradient = true,
            .alignment = 4};
  }
  Gradients gradients() { return {view(grad_input), view(grad_weight), view(grad_bias)}; }
  void run_forward() { plan.forward(view(feats), view(weight), view(bias), view(out)); }
  void run_backward() { plan.backward(view(grad_out), view(feats), view(weight), gradients()); }

  PlanOptions options_;
  Plan plan;
};

}  // namespace

TEST_CASE("a plan gives the bits of the convolution that it was frozen from, whose map and handle are gone") {
  Layer layer;
  layer.forward(cpu(), layer.map(cpu()));
  layer.backward(cpu(), layer.map(cpu()));
  Frozen frozen;
  frozen.run_forward();
  frozen.run_backward();
  CHECK(frozen.results() == layer.results());
  CHECK(frozen.plan.rows() == layer.rows);
  CHECK(frozen.plan.choice(Op::forward).algorithm != Algorithm::automatic);
  CHECK(frozen.plan.conv().out_channels == layer.out_channels);
}

TEST_CASE("a plan outlives its context, and copies of it are the same plan") {
  Layer layer;
  Plan copy;
  {
    const Context context = Context::open(Device::cpu(), {.threads = 1});
    const Plan plan =
        context.conv3d(layer.options()).freeze(layer.map(context), {.bias = DType::f32, .alignment = 4});
    copy = plan;
  }
  copy.forward(Layer::view(layer.feats), Layer::view(layer.weight), Layer::view(layer.bias),
               Layer::view(layer.out));
  const std::vector<std::byte> by_plan = layer.out.bytes();
  layer.forward(cpu(), layer.map(cpu()));
  CHECK(layer.out.bytes() == by_plan);
  CHECK(!Plan());
}

TEST_CASE("a plan serves an epilogue's operands") {
  Layer layer;
  HostTensor residual = HostTensor::random(layer.dtype, {layer.rows, layer.out_channels}, 1, 9);
  Conv3dOptions options = layer.options();
  options.epilogue = {.residual = true, .activation = Activation::relu};
  const Conv3d conv = cpu().conv3d(options);
  const NeighborMap map = layer.map(cpu());
  conv.forward(map, Layer::view(layer.feats), Layer::view(layer.weight), Layer::view(layer.out),
               {.residual = Layer::view(residual)});
  const std::vector<std::byte> eager = layer.out.bytes();
  std::fill(layer.out.bytes().begin(), layer.out.bytes().end(), std::byte{0xff});
  const Plan plan = conv.freeze(map, {.alignment = 4});
  plan.forward(Layer::view(layer.feats), Layer::view(layer.weight), Layer::view(layer.out),
               {.residual = Layer::view(residual)});
  CHECK(layer.out.bytes() == eager);
  check_error(ErrorCode::invalid_argument, {"residual is absent", "Conv3dOptions::epilogue"}, [&] {
    plan.forward(Layer::view(layer.feats), Layer::view(layer.weight), {}, Layer::view(layer.out));
  });
}

TEST_CASE("a plan refuses what it was not frozen for") {
  Frozen frozen;
  const auto refused = [](std::initializer_list<std::string> texts, const auto& call) {
    check_error(ErrorCode::invalid_argument, texts, call);
  };
  const auto forward = [&](const TensorView& feats, const TensorView& bias, const Workspace& workspace = {}) {
    frozen.plan.forward(feats, Layer::view(frozen.weight), bias, Layer::view(frozen.out), workspace);
  };
  TensorView feats = Layer::view(frozen.feats);
  const TensorView bias = Layer::view(frozen.bias);
  CHECK_NOTHROW(forward(feats, bias));
  feats.shape = {299, 5};
  refused({"feats has the shape [299, 5]", "[300, 5]"}, [&] { forward(feats, bias); });
  feats = Layer::view(frozen.feats);
  feats.dtype = DType::f16;
  refused({"feats holds f16"}, [&] { forward(feats, bias); });
  feats = Layer::view(frozen.feats);
  feats.data = nullptr;
  refused({"feats", "null pointer"}, [&] { forward(feats, bias); });
  refused({"bias is absent", "frozen with it", "PlanOptions::bias"},
          [&] { forward(Layer::view(frozen.feats), {}); });
  refused({"out overlaps feats"}, [&] {
    frozen.plan.forward(TensorView(frozen.out.bytes().data(), DType::f32, {300, 5}),
                        Layer::view(frozen.weight), bias, Layer::view(frozen.out));
  });
  Gradients gradients = frozen.gradients();
  gradients.bias = {};
  const auto backward = [&] {
    frozen.plan.backward(Layer::view(frozen.grad_out), Layer::view(frozen.feats), Layer::view(frozen.weight),
                         gradients);
  };
  refused({"gradients.bias is absent", "PlanOptions::bias_gradient"}, backward);
  gradients = frozen.gradients();
  gradients.accumulate = true;
  refused({"accumulate is true"}, backward);

  const Frozen forward_only(PlanOptions{.alignment = 4});
  refused({"not frozen for backward"}, [&] {
    forward_only.plan.backward(Layer::view(frozen.grad_out), Layer::view(frozen.feats),
                               Layer::view(frozen.weight), frozen.gradients());
  });
  refused({"bias is given", "frozen without it"}, [&] {
    forward_only.plan.forward(Layer::view(frozen.feats), Layer::view(frozen.weight), bias,
                              Layer::view(frozen.out));
  });
  refused({"not frozen for grad_weight"},
          [&] { static_cast<void>(forward_only.plan.choice(Op::grad_weight)); });
}

TEST_CASE("a plan refuses tensors less aligned than it was frozen for") {
  Frozen frozen(PlanOptions{.alignment = 64});
  std::vector<std::byte> memory(frozen.feats.bytes().size() + 128);
  auto* aligned =
      reinterpret_cast<std::byte*>((reinterpret_cast<std::uintptr_t>(memory.data()) + 63) / 64 * 64);
  check_error(ErrorCode::invalid_argument, {"feats is at address", "aligned to 64 bytes"}, [&] {
    frozen.plan.forward(TensorView(aligned + 4, DType::f32, {300, 5}), Layer::view(frozen.weight), {},
                        Layer::view(frozen.out));
  });
}

TEST_CASE("contradictory plan options are refused when the plan is frozen") {
  Layer layer;
  const NeighborMap map = layer.map(cpu());
  const auto refused = [&](const PlanOptions& options, std::initializer_list<std::string> texts,
                           const Epilogue& epilogue = {}, ErrorCode code = ErrorCode::invalid_argument) {
    Conv3dOptions conv = layer.options();
    conv.epilogue = epilogue;
    check_error(code, texts, [&] { cpu().conv3d(conv).freeze(map, options); });
  };
  refused({.alignment = 3}, {"alignment is 3", "power of two"});
  refused({.alignment = 2}, {"alignment is 2", "4 bytes"});
  refused({.alignment = 512}, {"alignment is 512"});
  refused({.forward = false}, {"no pass"});
  refused({.bias = DType::f16}, {"PlanOptions::bias is f16", "f32"});
  refused({.weight_gradient = true, .weight_gradient_type = DType::bf16}, {"weight_gradient_type is bf16"});
  refused({}, {"PlanOptions::bias is absent", "reads"}, Epilogue::expression("acc + bias"));
  refused({.input_gradient = true}, {"differentiate"}, {.activation = Activation::relu},
          ErrorCode::unsupported);
  const Plan other = cpu().conv3d({.in_channels = 5, .out_channels = 7}).freeze(map, {.alignment = 4});
  refused({.like = &other}, {"another convolution"});
}

TEST_CASE("a plan of a map without rows runs, and writes zeros to weight gradients") {
  Layer layer(0);
  const Plan plan = cpu().conv3d(layer.options()).freeze(layer.map(cpu()), Frozen::everything());
  CHECK_NOTHROW(plan.forward(Layer::view(layer.feats), Layer::view(layer.weight), Layer::view(layer.bias),
                             Layer::view(layer.out)));
  std::fill(layer.grad_weight.bytes().begin(), layer.grad_weight.bytes().end(), std::byte{0xff});
  plan.backward(
      Layer::view(layer.grad_out), Layer::view(layer.feats), Layer::view(layer.weight),
      {Layer::view(layer.grad_input), Layer::view(layer.grad_weight), Layer::view(layer.grad_bias)});
  for (std::int64_t i = 0; i < layer.grad_weight.elements(); ++i) REQUIRE(layer.grad_weight.at(i) == 0);
}

TEST_CASE("threads share a plan and get the same bits") {
  Frozen frozen;
  frozen.run_forward();
  const std::vector<std::byte> expected = frozen.out.bytes();
  std::vector<HostTensor> outs(16, frozen.out);
  std::vector<std::thread> threads;
  for (HostTensor& out : outs) {
    threads.emplace_back([&frozen, &out] {
      for (int i = 0; i < 20; ++i) {
        std::fill(out.bytes().begin(), out.bytes().end(), std::byte{0xff});
        frozen.plan.forward(Layer::view(frozen.feats), Layer::view(frozen.weight), Layer::view(frozen.bias),
                            Layer::view(out));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const HostTensor& out : outs) CHECK(out.bytes() == expected);
}
