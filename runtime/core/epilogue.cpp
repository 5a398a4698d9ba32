#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include <flexgemm/epilogue.hpp>

#include "core/fail.hpp"
#include "core/prepared_epilogue.hpp"

namespace flexgemm {

namespace {

constexpr std::array all_activations{Activation::none, Activation::relu, Activation::leaky_relu,
                                     Activation::silu, Activation::gelu};

codegen::Expression parse(std::string_view text, bool internal) {
  try {
    return codegen::Expression::parse(text, internal);
  } catch (const codegen::ExpressionError& error) {
    detail::fail(ErrorCode::invalid_argument, "{}", error.what());
  }
}

void require_consistent(const Epilogue& epilogue) {
  if (!std::isfinite(epilogue.slope)) {
    detail::fail(ErrorCode::invalid_argument, "the epilogue's slope is {}; it must be finite",
                 epilogue.slope);
  }
  if (epilogue.formula.empty()) return;
  if (epilogue.scale_shift || epilogue.activation != Activation::none) {
    detail::fail(ErrorCode::invalid_argument,
                 "an epilogue given by an expression takes no {}; write it into the expression {}",
                 epilogue.scale_shift ? "scale and shift" : "activation", epilogue.formula);
  }
  const bool reads = parse(epilogue.formula, false).uses(codegen::Operation::residual);
  if (reads != epilogue.residual) {
    detail::fail(ErrorCode::invalid_argument, "Epilogue::residual is {}, but the expression {} {} residual",
                 epilogue.residual, epilogue.formula, reads ? "names" : "does not name");
  }
}

/// The documented formula as text for the parser.
std::string composed(const Epilogue& epilogue) {
  if (!epilogue.formula.empty()) return epilogue.formula;
  std::string text = "acc+bias";
  if (epilogue.scale_shift) text = "(acc+bias)*scale+shift";
  if (epilogue.residual) text += "+residual";
  switch (epilogue.activation) {
    case Activation::none:
      return text;
    case Activation::leaky_relu:
      return "leaky_relu(" + text + "," + codegen::float_text(epilogue.slope) + ")";
    default:
      return std::string(name(epilogue.activation)) + "(" + text + ")";
  }
}

}  // namespace

const char* name(Activation activation) noexcept {
  switch (activation) {
    case Activation::none:
      return "none";
    case Activation::relu:
      return "relu";
    case Activation::leaky_relu:
      return "leaky_relu";
    case Activation::silu:
      return "silu";
    case Activation::gelu:
      return "gelu";
  }
  return "unknown";
}

Activation parse_activation(std::string_view text) {
  for (const Activation activation : all_activations) {
    if (text == name(activation)) return activation;
  }
  detail::fail(ErrorCode::invalid_argument,
               "'{}' is not an activation; use none, relu, leaky_relu, silu or gelu", text);
}

Epilogue Epilogue::expression(std::string_view text) {
  const codegen::Expression expression = parse(text, false);
  Epilogue epilogue;
  epilogue.formula = codegen::to_string(expression);
  epilogue.residual = expression.uses(codegen::Operation::residual);
  return epilogue;
}

namespace detail {

const PreparedEpilogue* prepare_epilogue(const Epilogue& epilogue) {
  if (epilogue == Epilogue{.slope = epilogue.slope}) return nullptr;
  require_consistent(epilogue);
  PreparedEpilogue prepared;
  prepared.expression = parse(composed(epilogue), true);
  prepared.text = codegen::to_string(prepared.expression);
  prepared.is_formula = !epilogue.formula.empty();
  prepared.reads_bias = prepared.expression.uses(codegen::Operation::bias);
  prepared.reads_residual = epilogue.residual;
  prepared.reads_scale_shift = epilogue.scale_shift;

  using Key = std::pair<std::string, bool>;
  static std::mutex mutex;
  static auto* const known = new std::map<Key, std::unique_ptr<const PreparedEpilogue>>;  // for the process
  const std::lock_guard lock(mutex);
  auto& slot = (*known)[{prepared.text, prepared.is_formula}];
  if (slot == nullptr) slot = std::make_unique<const PreparedEpilogue>(std::move(prepared));
  return slot.get();
}

}  // namespace detail

}  // namespace flexgemm
