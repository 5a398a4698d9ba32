#include "tune/layer_request.hpp"

#include <array>

#include "common/failure.hpp"

namespace flexgemm::tune {

using cli::fail;

Op parse_op(std::string_view text) {
  for (const Op op : {Op::forward, Op::grad_input, Op::grad_weight}) {
    if (text == name(op)) return op;
  }
  fail(ErrorCode::invalid_argument, "'{}' is not an op; use forward, grad_input or grad_weight", text);
}

namespace {

constexpr std::string_view expression_prefix = "expression:";

/// One word of an epilogue; false if it is none.
bool add_word(std::string_view word, LayerRequest& layer) {
  Epilogue& epilogue = layer.conv.epilogue;
  for (const Activation activation :
       {Activation::relu, Activation::leaky_relu, Activation::silu, Activation::gelu}) {
    if (word != name(activation)) continue;
    if (epilogue.activation != Activation::none) return false;
    epilogue.activation = activation;
    return true;
  }
  if ((word == "bias" || word == "bias_f32") && !layer.bias) {
    layer.bias = word == "bias" ? storage_type(layer.conv.dtype) : DType::f32;
    return true;
  }
  if (word == "scale_shift" && !epilogue.scale_shift) return epilogue.scale_shift = true;
  if (word == "residual" && !epilogue.residual) return epilogue.residual = true;
  return false;
}

}  // namespace

void parse_epilogue(std::string_view text, LayerRequest& layer) {
  layer.bias.reset();
  layer.conv.epilogue = {};
  if (text == "none") return;
  if (layer.op != Op::forward) {
    fail(ErrorCode::invalid_argument, "'{}' was asked for {}; only forward has an epilogue", text,
         name(layer.op));
  }
  if (text.starts_with(expression_prefix)) {
    layer.conv.epilogue = Epilogue::expression(text.substr(expression_prefix.size()));
    if (layer.conv.epilogue.formula.find("bias") != std::string::npos)
      layer.bias = storage_type(layer.conv.dtype);
    return;
  }
  for (std::string_view rest = text;;) {
    const std::size_t plus = rest.find('+');
    const std::string_view word = rest.substr(0, plus);
    if (!add_word(word, layer)) {
      fail(ErrorCode::invalid_argument,
           "'{}' is not an epilogue, because of '{}'; use none, or of bias or bias_f32, scale_shift, "
           "residual, "
           "and relu, leaky_relu, silu or gelu each at most once, joined by +; or expression:TEXT",
           text, word);
    }
    if (plus == std::string_view::npos) return;
    rest.remove_prefix(plus + 1);
  }
}

std::string epilogue_text(const LayerRequest& layer) {
  const Epilogue& epilogue = layer.conv.epilogue;
  if (!epilogue.formula.empty()) return std::string(expression_prefix) + epilogue.formula;
  std::string text;
  const auto add = [&text](bool wanted, std::string_view word) {
    if (wanted) text.append(text.empty() ? "" : "+").append(word);
  };
  if (layer.bias) add(true, *layer.bias == storage_type(layer.conv.dtype) ? "bias" : "bias_f32");
  add(epilogue.scale_shift, "scale_shift");
  add(epilogue.residual, "residual");
  add(epilogue.activation != Activation::none, name(epilogue.activation));
  return text.empty() ? "none" : text;
}

std::string describe(const LayerRequest& layer) {
  const Extent3& kernel = layer.conv.kernel;
  std::string text =
      fmt::format("{} {} -> {}, {}x{}x{}, {}", name(layer.op), layer.conv.in_channels,
                  layer.conv.out_channels, kernel.x, kernel.y, kernel.z, name(layer.conv.dtype));
  if (layer.dilation != Extent3{1, 1, 1}) {
    text += fmt::format(", dilation {}x{}x{}", layer.dilation.x, layer.dilation.y, layer.dilation.z);
  }
  if (const std::string epilogue = epilogue_text(layer); epilogue != "none") text += ", " + epilogue;
  if (layer.conv.algorithm != Algorithm::automatic) {
    text += fmt::format(", {}", name(layer.conv.algorithm));
  }
  if (layer.voxels > 0) text += fmt::format(", {} voxels", layer.voxels);
  return text;
}

}  // namespace flexgemm::tune
