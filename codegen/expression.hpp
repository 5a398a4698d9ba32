#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace flexgemm::codegen {

/// What an epilogue's expression is made of. Everything is a float but comparisons, which only `select`
/// takes.
enum class Operation : std::uint8_t {
  constant,
  acc,       ///< the finished sum of one output
  bias,      ///< bias[channel]
  residual,  ///< residual[row, channel]
  channel,   ///< the output channel, as a float
  scale,     ///< scale[channel]
  shift,     ///< shift[channel]
  negate,
  add,
  subtract,
  multiply,
  divide,
  less,
  less_equal,
  greater,
  greater_equal,
  equal,
  not_equal,
  select,  ///< condition ? first : second; both are evaluated
  min,
  max,
  abs,
  exp,
  log,
  sqrt,
  tanh,
  erf,
  sigmoid,
  fma,
  relu,
  leaky_relu,
  silu,
  gelu,
};

/// What an expression may read and call, besides literals and operators.
struct Word {
  std::string_view name;
  Operation operation;
  int arguments;  ///< 0: a variable
};

/// Variables first. `scale` and `shift` are known only to expressions that the library itself composes.
std::vector<Word> expression_words(bool internal);

/// A refused expression; `what()` says where, counted in characters from 1, and why.
class ExpressionError : public std::invalid_argument {
 public:
  ExpressionError(std::size_t position, const std::string& reason);
};

/// A side-effect-free float expression over one output, in postfix order. Only `parse` makes a non-empty one,
/// so whatever exists has passed the grammar:
///   expression = comparison [ "?" expression ":" expression ]
///   comparison = sum [ ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) sum ]
///   sum        = product { ( "+" | "-" ) product }
///   product    = unary { ( "*" | "/" ) unary }
///   unary      = "-" unary | primary
///   primary    = number | variable | function "(" expression { "," expression } ")" | "(" expression ")"
/// Numbers are decimal floats (an f at their end is allowed), so 1 / 2 is 0.5. At most `max_length`
/// characters and `max_depth` levels of nesting.
class Expression {
 public:
  static constexpr std::size_t max_length = 512;
  static constexpr int max_depth = 32;

  struct Node {
    Operation operation = Operation::constant;
    float value = 0;  ///< of a constant
    friend bool operator==(const Node&, const Node&) noexcept = default;
  };

  Expression() = default;
  /// Throws ExpressionError. `internal` as for expression_words.
  static Expression parse(std::string_view text, bool internal = false);

  bool empty() const noexcept { return nodes_.empty(); }
  const std::vector<Node>& nodes() const noexcept { return nodes_; }
  bool uses(Operation variable) const noexcept;
  /// Values that an evaluation in postfix order holds at once, at most.
  int stack_depth() const noexcept;

 private:
  std::vector<Node> nodes_;
};

/// Operands of an operation.
int arity(Operation operation) noexcept;

/// Canonical text without spaces or needless parentheses; parses back to the same nodes.
std::string to_string(const Expression& expression);

/// The same as a C++ expression of floats over the variables' names and the functions of
/// templates/epilogue/functions.cuh, fully parenthesized. Made from the nodes alone.
std::string to_cuda(const Expression& expression);

/// Text of a literal that reads back as the same float.
std::string float_text(float value);

/// Inputs of `evaluate` for consecutive channels of one row; null where the expression does not use them.
struct EvaluationInputs {
  const float* bias = nullptr;
  const float* residual = nullptr;
  const float* scale = nullptr;
  const float* shift = nullptr;
  std::int64_t first_channel = 0;
};

/// Replaces values[i], the finished sums of consecutive channels, by the expression's values. Rounds after
/// every operation; the GPU may contract a product and a sum. Thread-safe.
void evaluate(const Expression& expression, const EvaluationInputs& inputs, std::int64_t count,
              float* values);

}  // namespace flexgemm::codegen
