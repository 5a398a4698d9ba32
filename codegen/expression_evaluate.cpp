#include <algorithm>
#include <cmath>

#include "expression.hpp"

namespace flexgemm::codegen {

namespace {

/// Channels that are evaluated at once: their stack stays in the L1 cache.
constexpr std::int64_t block = 64;

float sigmoid(float x) noexcept { return 1.0F / (1.0F + std::exp(-x)); }
/// x * normal distribution function of x, the exact form.
float gelu(float x) noexcept { return 0.5F * x * (1.0F + std::erf(x * 0.70710678F)); }

template <class Function>
void apply1(float* a, std::int64_t count, const Function& function) {
  for (std::int64_t i = 0; i < count; ++i) a[i] = function(a[i]);
}
template <class Function>
void apply2(float* a, std::int64_t count, const Function& function) {
  const float* b = a + block;
  for (std::int64_t i = 0; i < count; ++i) a[i] = function(a[i], b[i]);
}
template <class Function>
void apply3(float* a, std::int64_t count, const Function& function) {
  const float* b = a + block;
  const float* c = b + block;
  for (std::int64_t i = 0; i < count; ++i) a[i] = function(a[i], b[i], c[i]);
}

constexpr auto truth = [](bool value) { return value ? 1.0F : 0.0F; };

/// Applies an operation to the operands that begin at `a`, one block after the other; the result replaces the
/// first.
void apply(Operation operation, float* a, std::int64_t count) {
  switch (operation) {
    case Operation::negate:
      return apply1(a, count, [](float x) { return -x; });
    case Operation::add:
      return apply2(a, count, [](float x, float y) { return x + y; });
    case Operation::subtract:
      return apply2(a, count, [](float x, float y) { return x - y; });
    case Operation::multiply:
      return apply2(a, count, [](float x, float y) { return x * y; });
    case Operation::divide:
      return apply2(a, count, [](float x, float y) { return x / y; });
    case Operation::less:
      return apply2(a, count, [](float x, float y) { return truth(x < y); });
    case Operation::less_equal:
      return apply2(a, count, [](float x, float y) { return truth(x <= y); });
    case Operation::greater:
      return apply2(a, count, [](float x, float y) { return truth(x > y); });
    case Operation::greater_equal:
      return apply2(a, count, [](float x, float y) { return truth(x >= y); });
    case Operation::equal:
      return apply2(a, count, [](float x, float y) { return truth(x == y); });
    case Operation::not_equal:
      return apply2(a, count, [](float x, float y) { return truth(x != y); });
    case Operation::select:
      return apply3(a, count, [](float x, float y, float z) { return x != 0 ? y : z; });
    case Operation::min:
      return apply2(a, count, [](float x, float y) { return std::fmin(x, y); });
    case Operation::max:
      return apply2(a, count, [](float x, float y) { return std::fmax(x, y); });
    case Operation::abs:
      return apply1(a, count, [](float x) { return std::fabs(x); });
    case Operation::exp:
      return apply1(a, count, [](float x) { return std::exp(x); });
    case Operation::log:
      return apply1(a, count, [](float x) { return std::log(x); });
    case Operation::sqrt:
      return apply1(a, count, [](float x) { return std::sqrt(x); });
    case Operation::tanh:
      return apply1(a, count, [](float x) { return std::tanh(x); });
    case Operation::erf:
      return apply1(a, count, [](float x) { return std::erf(x); });
    case Operation::sigmoid:
      return apply1(a, count, sigmoid);
    case Operation::fma:
      return apply3(a, count, [](float x, float y, float z) { return std::fma(x, y, z); });
    case Operation::relu:
      return apply1(a, count, [](float x) { return x < 0 ? 0.0F : x; });
    case Operation::leaky_relu:
      return apply2(a, count, [](float x, float slope) { return x < 0 ? x * slope : x; });
    case Operation::silu:
      return apply1(a, count, [](float x) { return x * sigmoid(x); });
    case Operation::gelu:
      return apply1(a, count, gelu);
    case Operation::constant:
    case Operation::acc:
    case Operation::bias:
    case Operation::residual:
    case Operation::channel:
    case Operation::scale:
    case Operation::shift:
      break;  // no operands
  }
}

/// Writes a variable or a constant for the channels [first, first + count) of the row.
void load(const Expression::Node& node, const EvaluationInputs& inputs, const float* sums, std::int64_t first,
          std::int64_t count, float* target) {
  const auto copy = [&](const float* source) {
    if (source == nullptr) {
      std::fill(target, target + count, 0.0F);
    } else {
      std::copy(source + first, source + first + count, target);
    }
  };
  switch (node.operation) {
    case Operation::acc:
      return copy(sums);
    case Operation::bias:
      return copy(inputs.bias);
    case Operation::residual:
      return copy(inputs.residual);
    case Operation::scale:
      return copy(inputs.scale);
    case Operation::shift:
      return copy(inputs.shift);
    case Operation::channel:
      for (std::int64_t i = 0; i < count; ++i)
        target[i] = static_cast<float>(inputs.first_channel + first + i);
      return;
    default:
      std::fill(target, target + count, node.value);
  }
}

}  // namespace

void evaluate(const Expression& expression, const EvaluationInputs& inputs, std::int64_t count,
              float* values) {
  constexpr std::int64_t most_inline = 16;
  float shallow[most_inline * block];
  std::vector<float> deep;
  float* stack = shallow;
  if (expression.stack_depth() > most_inline) {
    deep.resize(static_cast<std::size_t>(expression.stack_depth() * block));
    stack = deep.data();
  }
  for (std::int64_t first = 0; first < count; first += block) {
    const std::int64_t channels = std::min(block, count - first);
    float* top = stack;  // one past the last value
    for (const Expression::Node& node : expression.nodes()) {
      const int operands = arity(node.operation);
      if (operands == 0) {
        load(node, inputs, values, first, channels, top);
        top += block;
      } else {
        top -= (operands - 1) * block;
        apply(node.operation, top - block, channels);
      }
    }
    std::copy(stack, stack + channels, values + first);
  }
}

}  // namespace flexgemm::codegen
