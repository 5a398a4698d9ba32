#include "expression.hpp"

#include <algorithm>
#include <charconv>

namespace flexgemm::codegen {

namespace {

/// How tightly a form binds: what stands inside a looser one needs no parentheses.
enum Binding { binds_select, binds_comparison, binds_sum, binds_product, binds_unary, binds_primary };

struct Form {
  std::string_view sign;  ///< of an operator
  Binding binding;
};

Form form_of(Operation operation) noexcept {
  switch (operation) {
    case Operation::negate:
      return {"-", binds_unary};
    case Operation::add:
      return {"+", binds_sum};
    case Operation::subtract:
      return {"-", binds_sum};
    case Operation::multiply:
      return {"*", binds_product};
    case Operation::divide:
      return {"/", binds_product};
    case Operation::less:
      return {"<", binds_comparison};
    case Operation::less_equal:
      return {"<=", binds_comparison};
    case Operation::greater:
      return {">", binds_comparison};
    case Operation::greater_equal:
      return {">=", binds_comparison};
    case Operation::equal:
      return {"==", binds_comparison};
    case Operation::not_equal:
      return {"!=", binds_comparison};
    case Operation::select:
      return {"?", binds_select};
    default:
      return {"", binds_primary};
  }
}

std::string_view word_of(Operation operation) {
  static const std::vector<Word> words = expression_words(true);
  for (const Word& word : words) {
    if (word.operation == operation) return word.name;
  }
  return "?";
}

struct Printed {
  std::string text;
  Binding binding;
};

std::string wrapped(const Printed& part, Binding least) {
  return part.binding >= least ? part.text : "(" + part.text + ")";
}

std::string call(std::string_view function, const Printed* arguments, int count) {
  std::string text(function);
  text += "(";
  for (int i = 0; i < count; ++i) text += (i == 0 ? "" : ",") + arguments[i].text;
  return text + ")";
}

Printed print_node(const Expression::Node& node, const Printed* operands) {
  const Form form = form_of(node.operation);
  const auto joined = [&](Binding left, Binding right) {
    return wrapped(operands[0], left) + std::string(form.sign) + wrapped(operands[1], right);
  };
  switch (form.binding) {
    case binds_select:
      return {wrapped(operands[0], binds_comparison) + "?" + operands[1].text + ":" + operands[2].text,
              binds_select};
    case binds_comparison:
      return {joined(binds_sum, binds_sum), binds_comparison};
    case binds_sum:
      return {joined(binds_sum, binds_product), binds_sum};
    case binds_product:
      return {joined(binds_product, binds_unary), binds_product};
    case binds_unary:
      return {"-" + wrapped(operands[0], binds_unary), binds_unary};
    case binds_primary:
      break;
  }
  if (node.operation == Operation::constant) return {float_text(node.value), binds_primary};
  const int count = arity(node.operation);
  if (count == 0) return {std::string(word_of(node.operation)), binds_primary};
  return {call(word_of(node.operation), operands, count), binds_primary};
}

/// A literal of type float: 2 becomes 2.0f.
std::string cuda_literal(float value) {
  std::string text = float_text(value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text + "f";
}

Printed cuda_node(const Expression::Node& node, const Printed* operands) {
  if (node.operation == Operation::constant) return {cuda_literal(node.value), binds_primary};
  const Form form = form_of(node.operation);
  const int count = arity(node.operation);
  if (node.operation == Operation::select) {
    return {"(" + operands[0].text + " ? " + operands[1].text + " : " + operands[2].text + ")",
            binds_primary};
  }
  if (node.operation == Operation::negate) return {"(-" + operands[0].text + ")", binds_primary};
  if (!form.sign.empty()) {
    return {"(" + operands[0].text + " " + std::string(form.sign) + " " + operands[1].text + ")",
            binds_primary};
  }
  if (count == 0) return {std::string(word_of(node.operation)), binds_primary};
  return {call("flexgemm::" + std::string(word_of(node.operation)) + "_of", operands, count), binds_primary};
}

/// Folds the postfix nodes with `print`.
template <class Print>
std::string print_all(const Expression& expression, const Print& print) {
  std::vector<Printed> stack;
  for (const Expression::Node& node : expression.nodes()) {
    const auto count = static_cast<std::size_t>(arity(node.operation));
    Printed printed = print(node, stack.data() + (stack.size() - count));
    stack.resize(stack.size() - count);
    stack.push_back(std::move(printed));
  }
  return stack.empty() ? std::string() : stack.back().text;
}

}  // namespace

std::vector<Word> expression_words(bool internal) {
  std::vector<Word> words{{"acc", Operation::acc, 0},
                          {"bias", Operation::bias, 0},
                          {"residual", Operation::residual, 0},
                          {"channel", Operation::channel, 0}};
  if (internal) {
    words.push_back({"scale", Operation::scale, 0});
    words.push_back({"shift", Operation::shift, 0});
  }
  words.insert(words.end(), {{"min", Operation::min, 2},
                             {"max", Operation::max, 2},
                             {"abs", Operation::abs, 1},
                             {"exp", Operation::exp, 1},
                             {"log", Operation::log, 1},
                             {"sqrt", Operation::sqrt, 1},
                             {"tanh", Operation::tanh, 1},
                             {"erf", Operation::erf, 1},
                             {"sigmoid", Operation::sigmoid, 1},
                             {"fma", Operation::fma, 3},
                             {"relu", Operation::relu, 1},
                             {"leaky_relu", Operation::leaky_relu, 2},
                             {"silu", Operation::silu, 1},
                             {"gelu", Operation::gelu, 1}});
  return words;
}

ExpressionError::ExpressionError(std::size_t position, const std::string& reason)
    : std::invalid_argument("the epilogue's expression is wrong at character " + std::to_string(position) +
                            ": " + reason) {}

int arity(Operation operation) noexcept {
  switch (operation) {
    case Operation::constant:
    case Operation::acc:
    case Operation::bias:
    case Operation::residual:
    case Operation::channel:
    case Operation::scale:
    case Operation::shift:
      return 0;
    case Operation::select:
    case Operation::fma:
      return 3;
    case Operation::add:
    case Operation::subtract:
    case Operation::multiply:
    case Operation::divide:
    case Operation::less:
    case Operation::less_equal:
    case Operation::greater:
    case Operation::greater_equal:
    case Operation::equal:
    case Operation::not_equal:
    case Operation::min:
    case Operation::max:
    case Operation::leaky_relu:
      return 2;
    default:
      return 1;
  }
}

bool Expression::uses(Operation variable) const noexcept {
  return std::any_of(nodes_.begin(), nodes_.end(),
                     [variable](const Node& node) { return node.operation == variable; });
}

int Expression::stack_depth() const noexcept {
  int depth = 0;
  int deepest = 0;
  for (const Node& node : nodes_) {
    depth += 1 - arity(node.operation);
    deepest = std::max(deepest, depth);
  }
  return deepest;
}

std::string float_text(float value) {
  std::array<char, 32> digits{};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc{} ? std::string(digits.data(), end) : std::string("0");
}

std::string to_string(const Expression& expression) { return print_all(expression, print_node); }

std::string to_cuda(const Expression& expression) { return print_all(expression, cuda_node); }

}  // namespace flexgemm::codegen
