#include <cctype>
#include <charconv>

#include "expression.hpp"

// Recursive descent: one function a rule of the grammar in expression.hpp.

namespace flexgemm::codegen {

namespace {

enum class Kind { number, truth };

bool is_digit(char character) noexcept { return character >= '0' && character <= '9'; }
bool is_word_start(char character) noexcept {
  return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') || character == '_';
}
bool is_word_part(char character) noexcept { return is_word_start(character) || is_digit(character); }
bool is_space(char character) noexcept {
  return character == ' ' || character == '\t' || character == '\n' || character == '\r';
}

/// A character for an error message, which is one printable line whatever the text holds.
std::string shown(char character) {
  if (character >= ' ' && character <= '~') return std::string("'") + character + "'";
  return "the byte " + std::to_string(static_cast<unsigned char>(character));
}

/// The canonical text may be longer than what was written: 1e9 becomes 1e+09.
constexpr std::size_t canonical_growth = 4;

class Parser {
 public:
  Parser(std::string_view text, bool internal)
      : text_(text),
        most_(internal ? canonical_growth * Expression::max_length : Expression::max_length),
        words_(expression_words(internal)) {}

  std::vector<Expression::Node> parse() {
    if (text_.size() > most_) {
      throw ExpressionError(most_ + 1, "it has " + std::to_string(text_.size()) + " characters; at most " +
                                           std::to_string(most_) + " are allowed");
    }
    const Kind kind = expression();
    skip_spaces();
    if (at_ != text_.size()) fail("expected the end or an operator, found " + found());
    if (kind == Kind::truth) {
      throw ExpressionError(1, "a comparison alone is no number; write (comparison) ? a : b");
    }
    return std::move(nodes_);
  }

 private:
  /// Counts the levels of recursion that are open.
  class Level {
   public:
    explicit Level(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ > Expression::max_depth) {
        parser_.fail("more than " + std::to_string(Expression::max_depth) + " levels of nesting");
      }
    }
    ~Level() { --parser_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Parser& parser_;
  };

  Kind expression() {
    const Level level(*this);
    const Kind condition = comparison();
    if (!accept("?")) return condition;
    if (condition != Kind::truth) fail_before("what stands before ? must be a comparison");
    require_number(expression(), "the first branch of ? :");
    expect(":");
    require_number(expression(), "the second branch of ? :");
    emit(Operation::select);
    return Kind::number;
  }

  Kind comparison() {
    const Kind left = sum();
    struct Sign {
      std::string_view text;
      Operation operation;
    };
    constexpr Sign signs[] = {{"<=", Operation::less_equal}, {">=", Operation::greater_equal},
                              {"==", Operation::equal},      {"!=", Operation::not_equal},
                              {"<", Operation::less},        {">", Operation::greater}};
    for (const Sign& sign : signs) {
      if (!accept(sign.text)) continue;
      require_number(left, "the left side of a comparison");
      require_number(sum(), "the right side of a comparison");
      emit(sign.operation);
      return Kind::truth;
    }
    return left;
  }

  Kind sum() {
    const Kind left = product();
    Kind kind = left;
    while (true) {
      const Operation operation = accept("+")   ? Operation::add
                                  : accept("-") ? Operation::subtract
                                                : Operation::constant;
      if (operation == Operation::constant) return kind;
      require_number(kind, "an operand of + or -");
      require_number(product(), "an operand of + or -");
      emit(operation);
      kind = Kind::number;
    }
  }

  Kind product() {
    Kind kind = unary();
    while (true) {
      const Operation operation = accept("*")   ? Operation::multiply
                                  : accept("/") ? Operation::divide
                                                : Operation::constant;
      if (operation == Operation::constant) return kind;
      require_number(kind, "an operand of * or /");
      require_number(unary(), "an operand of * or /");
      emit(operation);
      kind = Kind::number;
    }
  }

  Kind unary() {
    const Level level(*this);
    if (!accept("-")) return primary();
    require_number(unary(), "the operand of -");
    emit(Operation::negate);
    return Kind::number;
  }

  Kind primary() {
    skip_spaces();
    const char next = at_ < text_.size() ? text_[at_] : '\0';
    if (is_digit(next) || next == '.') return number();
    if (is_word_start(next)) return word();
    if (!accept("(")) fail("expected a number, a name, - or (, found " + found());
    const Kind kind = expression();
    expect(")");
    return kind;
  }

  Kind number() {
    const std::size_t begin = at_;
    const auto digits = [this] {
      const std::size_t first = at_;
      while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
      return at_ - first;
    };
    std::size_t count = digits();
    if (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      count += digits();
    }
    if (count == 0) fail_at(begin, "a number needs a digit");
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      ++at_;
      if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
      if (digits() == 0) fail_at(begin, "the exponent of a number needs a digit");
    }
    float value = 0;
    const char* first = text_.data() + begin;
    const auto [end, error] = std::from_chars(first, text_.data() + at_, value);
    if (error != std::errc{} || end != text_.data() + at_) fail_at(begin, "the number does not fit a float");
    if (at_ < text_.size() && (text_[at_] == 'f' || text_[at_] == 'F')) ++at_;
    if (at_ < text_.size() && (is_word_part(text_[at_]) || text_[at_] == '.')) {
      fail("a number cannot be followed by " + shown(text_[at_]) + "; only decimal floats are known");
    }
    nodes_.push_back({Operation::constant, value});
    return Kind::number;
  }

  Kind word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_word_part(text_[at_])) ++at_;
    const std::string_view name = text_.substr(begin, at_ - begin);
    for (const Word& word : words_) {
      if (word.name != name) continue;
      if (word.arguments != 0) arguments(word);
      emit(word.operation);
      return Kind::number;
    }
    std::string known;
    for (const Word& word : words_) known.append(known.empty() ? "" : ", ").append(word.name);
    fail_at(begin, "'" + std::string(name.substr(0, 32)) + "' is not known; known are " + known);
  }

  void arguments(const Word& word) {
    expect("(");
    const std::string what = "an argument of " + std::string(word.name);
    for (int i = 0; i < word.arguments; ++i) {
      if (i > 0) expect(",");
      require_number(expression(), what);
    }
    skip_spaces();
    if (at_ < text_.size() && text_[at_] == ',') {
      fail(std::string(word.name) + " takes " + std::to_string(word.arguments) +
           (word.arguments == 1 ? " argument" : " arguments"));
    }
    expect(")");
  }

  void emit(Operation operation) { nodes_.push_back({operation, 0}); }

  void skip_spaces() noexcept {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  bool accept(std::string_view sign) noexcept {
    skip_spaces();
    if (!text_.substr(at_).starts_with(sign)) return false;
    at_ += sign.size();
    return true;
  }
  void expect(std::string_view sign) {
    if (!accept(sign)) fail("expected '" + std::string(sign) + "', found " + found());
  }
  void require_number(Kind kind, const std::string& what) const {
    if (kind != Kind::number) fail_before(what + " must be a number, not a comparison");
  }
  std::string found() const { return at_ < text_.size() ? shown(text_[at_]) : "the end"; }

  [[noreturn]] void fail(const std::string& reason) const { fail_at(at_, reason); }
  [[noreturn]] void fail_before(const std::string& reason) const { fail_at(at_ == 0 ? 0 : at_ - 1, reason); }
  [[noreturn]] static void fail_at(std::size_t at, const std::string& reason) {
    throw ExpressionError(at + 1, reason);
  }

  std::string_view text_;
  std::size_t most_;
  std::vector<Word> words_;
  std::size_t at_ = 0;
  int depth_ = 0;
  std::vector<Expression::Node> nodes_;
};

}  // namespace

Expression Expression::parse(std::string_view text, bool internal) {
  Expression expression;
  expression.nodes_ = Parser(text, internal).parse();
  return expression;
}

}  // namespace flexgemm::codegen
