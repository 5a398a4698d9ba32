#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "api/layer.hpp"

using namespace flexgemm;
using namespace flexgemm::api_test;
using op_test::HostTensor;

namespace {

/// A layer whose epilogue reads everything.
struct FullLayer : Layer {
  FullLayer()
      : residual(HostTensor::random(dtype, {rows, out_channels}, 1, 5)),
        scale(HostTensor::random(DType::f32, {out_channels}, 1, 6)),
        shift(HostTensor::random(DType::f32, {out_channels}, 1, 7)),
        map_(map(cpu())) {}
  Conv3d conv(const Epilogue& epilogue) const {
    Conv3dOptions with_epilogue = options();
    with_epilogue.epilogue = epilogue;
    return cpu().conv3d(with_epilogue);
  }
  EpilogueOperands operands() {
    return {.bias = view(bias), .residual = view(residual), .scale = view(scale), .shift = view(shift)};
  }
  void run(const Epilogue& epilogue, const EpilogueOperands& operands) {
    conv(epilogue).forward(map_, view(feats), view(weight), view(out), operands);
  }

  HostTensor residual, scale, shift;
  NeighborMap map_;
};

constexpr Epilogue everything() {
  return {.scale_shift = true, .residual = true, .activation = Activation::relu};
}

}  // namespace

TEST_CASE("an epilogue computes activation((acc + bias) * scale + shift + residual)") {
  FullLayer layer;
  layer.forward(cpu(), layer.map_);  // acc + bias
  const HostTensor sums = layer.out;
  layer.run(everything(), layer.operands());
  int cut = 0;
  for (std::int64_t i = 0; i < sums.elements(); ++i) {
    const std::int64_t c = i % layer.out_channels;
    const double expected = sums.at(i) * layer.scale.at(c) + layer.shift.at(c) + layer.residual.at(i);
    cut += expected < 0;
    REQUIRE(std::abs(layer.out.at(i) - std::max(0.0, expected)) < 1e-5);
  }
  CHECK(cut > 100);
}

TEST_CASE("an epilogue and the expression that it stands for give the same bits") {
  FullLayer layer;
  layer.run({.residual = true, .activation = Activation::silu},
            {.bias = Layer::view(layer.bias), .residual = Layer::view(layer.residual)});
  const std::vector<std::byte> by_enum = layer.out.bytes();
  layer.run(Epilogue::expression("silu((acc + bias) + residual)"),
            {.bias = Layer::view(layer.bias), .residual = Layer::view(layer.residual)});
  CHECK(layer.out.bytes() == by_enum);
}

TEST_CASE("a convolution with an activation alone runs through the plain forward call") {
  FullLayer layer;
  layer.forward(cpu(), layer.map_);
  const HostTensor sums = layer.out;
  layer.conv({.activation = Activation::leaky_relu, .slope = 0.5F})
      .forward(layer.map_, Layer::view(layer.feats), Layer::view(layer.weight), Layer::view(layer.bias),
               Layer::view(layer.out));
  for (std::int64_t i = 0; i < sums.elements(); ++i)
    REQUIRE(layer.out.at(i) == (sums.at(i) < 0 ? sums.at(i) * 0.5 : sums.at(i)));
}

TEST_CASE("operands that the epilogue does not read, or lacks, are refused by name") {
  FullLayer layer;
  const EpilogueOperands all = layer.operands();
  const auto refused = [&](const Epilogue& epilogue, const EpilogueOperands& operands,
                           std::initializer_list<std::string> texts) {
    check_error(ErrorCode::invalid_argument, texts, [&] { layer.run(epilogue, operands); });
  };
  EpilogueOperands some = all;
  some.residual = {};
  refused(everything(), some, {"residual is absent", "reads it"});
  some = all;
  some.scale = {};
  refused(everything(), some, {"scale is absent", "relu((acc+bias)*scale+shift+residual)"});
  some = all;
  some.shift = {};
  refused(everything(), some, {"shift is absent"});
  refused({}, all, {"residual is given", "epilogue: none", "does not read it"});
  refused({.residual = true}, all, {"scale is given"});
  const Epilogue no_bias = Epilogue::expression("acc * 2");
  refused(no_bias, {.bias = Layer::view(layer.bias)}, {"bias is given", "acc*2"});
  refused(Epilogue::expression("acc + bias"), {}, {"bias is absent"});
  CHECK_NOTHROW(layer.run(no_bias, {}));
}

TEST_CASE("operands of the wrong shape, type or place are refused with what is wrong") {
  FullLayer layer;
  const auto refused = [&](const EpilogueOperands& operands, std::initializer_list<std::string> texts) {
    check_error(ErrorCode::invalid_argument, texts, [&] { layer.run(everything(), operands); });
  };
  EpilogueOperands operands = layer.operands();
  operands.residual.shape = {layer.rows, 5};
  refused(operands, {"residual has the shape [300, 5]", "[300, 6]"});
  operands = layer.operands();
  operands.residual.dtype = DType::f16;
  refused(operands, {"residual holds f16", "f32"});
  operands = layer.operands();
  operands.scale.dtype = DType::bf16;
  refused(operands, {"scale holds bf16", "f32"});
  operands = layer.operands();
  operands.shift.shape = {7};
  refused(operands, {"shift has the shape [7]", "[6]"});
  operands = layer.operands();
  operands.shift.data = nullptr;
  refused(operands, {"shift", "null pointer"});
  operands = layer.operands();
  operands.residual = Layer::view(layer.out);
  refused(operands, {"out overlaps residual"});
}

TEST_CASE("an expression that is none is refused where it is written, with the place") {
  check_error(ErrorCode::invalid_argument, {"character 7", "'foo' is not known", "residual"},
              [] { Epilogue::expression("acc + foo"); });
  check_error(ErrorCode::invalid_argument, {"character 4", "';'"}, [] { Epilogue::expression("acc; 1"); });
  check_error(ErrorCode::invalid_argument, {"'scale' is not known"},
              [] { Epilogue::expression("acc * scale"); });
  CHECK(Epilogue::expression(" max ( acc , 0.50f ) ").formula == "max(acc,0.5)");
  CHECK(Epilogue::expression("acc + residual").residual);
  CHECK(!Epilogue::expression("acc + bias").residual);
}

TEST_CASE("an epilogue that contradicts itself is refused when the convolution is made") {
  FullLayer layer;
  Epilogue epilogue = Epilogue::expression("acc + bias");
  epilogue.activation = Activation::relu;
  check_error(ErrorCode::invalid_argument, {"takes no activation", "acc+bias"},
              [&] { layer.conv(epilogue); });
  epilogue = Epilogue::expression("acc + bias");
  epilogue.scale_shift = true;
  check_error(ErrorCode::invalid_argument, {"takes no scale and shift"}, [&] { layer.conv(epilogue); });
  epilogue = Epilogue::expression("acc + bias");
  epilogue.residual = true;
  check_error(ErrorCode::invalid_argument, {"does not name residual"}, [&] { layer.conv(epilogue); });
  epilogue = {};
  epilogue.formula = "acc + trap()";
  check_error(ErrorCode::invalid_argument, {"'trap' is not known"}, [&] { layer.conv(epilogue); });
  check_error(ErrorCode::invalid_argument, {"slope is inf"}, [&] {
    layer.conv({.activation = Activation::leaky_relu, .slope = std::numeric_limits<float>::infinity()});
  });
}

TEST_CASE("backward refuses a convolution with an epilogue, whose gradient it would not give") {
  FullLayer layer;
  check_error(ErrorCode::unsupported, {"differentiate", "relu(acc+bias)"}, [&] {
    layer.conv({.activation = Activation::relu})
        .backward(layer.map_, Layer::view(layer.grad_out), Layer::view(layer.feats),
                  Layer::view(layer.weight), {.input = Layer::view(layer.grad_input)});
  });
}

TEST_CASE("names of activations read back, and others are refused") {
  for (const Activation activation :
       {Activation::none, Activation::relu, Activation::leaky_relu, Activation::silu, Activation::gelu}) {
    CHECK(parse_activation(name(activation)) == activation);
  }
  check_error(ErrorCode::invalid_argument, {"'swish'", "silu"}, [] { parse_activation("swish"); });
}
