#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "codegen/candidates.hpp"
#include "codegen/emit.hpp"
#include "codegen/expression.hpp"

using namespace flexgemm::codegen;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

/// The value for one output: acc 3, bias 0.5, residual -2, channel 7, scale 4, shift 0.25.
float value_of(const std::string& text) {
  const float bias = 0.5F;
  const float residual = -2;
  const float scale = 4;
  const float shift = 0.25F;
  float value = 3;
  evaluate(Expression::parse(text, true),
           {.bias = &bias, .residual = &residual, .scale = &scale, .shift = &shift, .first_channel = 7}, 1,
           &value);
  return value;
}

std::string canonical(const std::string& text) { return to_string(Expression::parse(text)); }

std::string repeated(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

}  // namespace

TEST_CASE("expressions have the values of the C expressions that they look like") {
  CHECK(value_of("acc + bias * residual") == 2);
  CHECK(value_of("(acc + bias) * residual") == -7);
  CHECK(value_of("acc - bias - residual") == 4.5F);
  CHECK(value_of("acc - (bias - residual)") == 0.5F);
  CHECK(value_of("acc / residual / 2") == -0.75F);
  CHECK(value_of("1 / 2") == 0.5F);
  CHECK(value_of("-acc * -2") == 6);
  CHECK(value_of("- -acc") == 3);
  CHECK(value_of("acc - -acc") == 6);
  CHECK(value_of("channel * 10 + scale + shift") == 74.25F);
  CHECK(value_of("acc > 0 ? 1 : residual < 0 ? 2 : 3") == 1);
  CHECK(value_of("acc < 0 ? 1 : residual < 0 ? 2 : 3") == 2);
  CHECK(value_of("acc < 0 ? 1 : (residual > 0 ? 2 : 3)") == 3);
  CHECK(value_of("(acc == 3) ? acc != 3 ? 1 : 2 : 3") == 2);
  CHECK(value_of("(acc >= 3 ? 10 : 0) + (acc <= 2.999 ? 1 : 0)") == 10);
  CHECK(value_of(".5e1f + 1.E-1") == 5.1F);
}

TEST_CASE("functions of expressions have their mathematical values") {
  const auto close_to = [](double value) { return Catch::Matchers::WithinRel(value, 1e-6); };
  CHECK(value_of("min(acc, bias) + 10 * max(acc, bias)") == 30.5F);
  CHECK(value_of("abs(residual)") == 2);
  CHECK_THAT(value_of("exp(acc)"), close_to(std::exp(3.0)));
  CHECK_THAT(value_of("log(acc)"), close_to(std::log(3.0)));
  CHECK_THAT(value_of("sqrt(acc)"), close_to(std::sqrt(3.0)));
  CHECK_THAT(value_of("tanh(bias)"), close_to(std::tanh(0.5)));
  CHECK_THAT(value_of("erf(bias)"), close_to(std::erf(0.5)));
  CHECK_THAT(value_of("sigmoid(acc)"), close_to(1 / (1 + std::exp(-3.0))));
  CHECK(value_of("fma(acc, bias, residual)") == -0.5F);
  CHECK(value_of("relu(residual) + relu(acc)") == 3);
  CHECK(value_of("leaky_relu(residual, 0.25) + leaky_relu(acc, 0.25)") == 2.5F);
  CHECK_THAT(value_of("silu(residual)"), close_to(-2 / (1 + std::exp(2.0))));
  CHECK_THAT(value_of("gelu(residual)"), Catch::Matchers::WithinRel(-std::erfc(std::sqrt(2.0)), 1e-5));
}

TEST_CASE("activations keep NaN and survive the ends of the range") {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const char* text : {"relu(acc)", "leaky_relu(acc,0.1)", "silu(acc)", "gelu(acc)"}) {
    CAPTURE(text);
    const Expression expression = Expression::parse(text);
    float values[] = {std::numeric_limits<float>::quiet_NaN(), 1e30F, -1e30F, infinity};
    evaluate(expression, {}, 4, values);
    CHECK(std::isnan(values[0]));
    CHECK(values[1] == 1e30F);
    CHECK((values[2] == 0 || values[2] == -1e29F));
    CHECK(values[3] == infinity);
  }
}

TEST_CASE("an expression is evaluated for every channel of a long row, with its own operands") {
  constexpr int channels = 201;
  std::vector<float> values(channels), bias(channels), expected(channels);
  for (int c = 0; c < channels; ++c) {
    values[c] = static_cast<float>(c);
    bias[c] = static_cast<float>(2 * c);
    expected[c] = static_cast<float>(c + 2 * c + 100 + c);
  }
  evaluate(Expression::parse("acc + bias + channel"), {.bias = bias.data(), .first_channel = 100}, channels,
           values.data());
  CHECK(values == expected);
}

TEST_CASE("the canonical text drops spaces and needless parentheses, and reads back as itself") {
  CHECK(canonical(" ( acc+ (bias) ) ") == "acc+bias");
  CHECK(canonical("acc-(bias-residual)") == "acc-(bias-residual)");
  CHECK(canonical("(acc-bias)-residual") == "acc-bias-residual");
  CHECK(canonical("acc+(bias*residual)") == "acc+bias*residual");
  CHECK(canonical("(acc+bias)*-(residual)") == "(acc+bias)*-residual");
  CHECK(canonical("-(acc+bias)") == "-(acc+bias)");
  CHECK(canonical("max(acc, 1.50f)") == "max(acc,1.5)");
}

TEST_CASE("a canonical text reads back as the same nodes") {
  const std::string text =
      GENERATE("(acc < 0) ? (bias > 1 ? acc : 2) : -(3 - acc)", "(acc < (bias < 0 ? 1 : 2)) ? 3 : 4",
               "1e-7*acc+1e20", "- - -acc", "fma(acc, (acc < 0 ? 1 : 2), bias/(acc/2))",
               "acc/(bias*residual)", "acc-(bias+channel)", "0.1f+16777217");
  const Expression first = Expression::parse(text);
  CAPTURE(text, to_string(first));
  const Expression second = Expression::parse(to_string(first));
  CHECK(second.nodes() == first.nodes());
  CHECK(to_string(second) == to_string(first));
}

TEST_CASE("the canonical text of the longest expressions reads back, though it is longer") {
  std::string text = "1e9";
  while (text.size() + 4 <= Expression::max_length) text += "+1e9";
  const Expression expression = Expression::parse(text);
  CHECK(to_string(expression).size() > Expression::max_length);
  CHECK(Expression::parse(to_string(expression), true).nodes() == expression.nodes());
}

TEST_CASE("what is no expression is refused, with the place and the reason") {
  struct Case {
    std::string text;
    const char* place;
    const char* reason;
  };
  const Case refused = GENERATE(
      Case{"", "character 1:", "found the end"}, Case{"acc +", "character 6:", "found the end"},
      Case{"acc bias", "character 5:", "found 'b'"}, Case{"acc; bias", "character 4:", "found ';'"},
      Case{"acc = 1", "character 5:", "found '='"}, Case{"acc[0]", "character 4:", "found '['"},
      Case{"*acc", "character 1:", "found '*'"}, Case{"&acc", "character 1:", "found '&'"},
      Case{"#define", "character 1:", "found '#'"}, Case{"acc // x", "character 6:", "found '/'"},
      Case{"acc \\", "character 5:", "found '\\'"}, Case{"\"a\"", "character 1:", "found '\"'"},
      Case{"acc\x01", "character 4:", "the byte 1"}, Case{"\xc3\xa4", "character 1:", "the byte 195"},
      Case{"foo(acc)", "character 1:", "'foo' is not known; known are acc, bias, residual, channel, min"},
      Case{"acc.x", "character 4:", "found '.'"},
      Case{"threadIdx", "character 1:", "'threadIdx' is not known"},
      Case{"scale*acc", "character 1:", "'scale' is not known"},
      Case{"min(acc)", "character 8:", "expected ','"},
      Case{"exp(acc,1)", "character 8:", "exp takes 1 argument"},
      Case{"exp acc", "character 5:", "expected '('"}, Case{"(acc", "character 5:", "expected ')'"},
      Case{"acc)", "character 4:", "found ')'"},
      Case{"acc ? 1 : 2", "character 5:", "what stands before ? must be a comparison"},
      Case{"acc < 1", "character 1:", "a comparison alone is no number"},
      Case{"acc < 1 < 2", "character 9:", "found '<'"},
      Case{"(acc < 1) + 2", "character 11:", "an operand of + or - must be a number"},
      Case{"exp(acc < 1)", "character 11:", "an argument of exp must be a number"},
      Case{"acc < 1 ? 2", "character 12:", "expected ':'"},
      Case{"1e99", "character 1:", "does not fit a float"},
      Case{"1e-99", "character 1:", "does not fit a float"}, Case{"1e", "character 1:", "exponent"},
      Case{"0x10", "character 2:", "followed by 'x'"}, Case{"1.2.3", "character 4:", "followed by '.'"},
      Case{"1u", "character 2:", "followed by 'u'"}, Case{".", "character 1:", "needs a digit"},
      Case{repeated("(", 40) + "acc" + repeated(")", 40), "character 1", "more than 32 levels"},
      Case{repeated("-", 400) + "acc", "character 3", "more than 32 levels"},
      Case{"acc" + repeated("+acc", 200), "character 513:", "it has 803 characters"});
  CAPTURE(refused.text);
  CHECK_THROWS_MATCHES(Expression::parse(refused.text), ExpressionError,
                       MessageMatches(ContainsSubstring(refused.place) && ContainsSubstring(refused.reason)));
}

TEST_CASE("CUDA source is written from the nodes: float literals, parentheses, the library's functions") {
  CHECK(to_cuda(Expression::parse("acc+2*max(bias,.5)")) == "(acc + (2.0f * flexgemm::max_of(bias,0.5f)))");
  CHECK(to_cuda(Expression::parse("acc<1e-7?-acc:channel")) == "((acc < 1e-07f) ? (-acc) : channel)");
}

TEST_CASE("the epilogue is part of a spec: of its text, its hash and its source") {
  GemmProblem problem{.architecture = parse_architecture("sm_90a"),
                      .compute = ElementType::f16,
                      .in_channels = 64,
                      .out_channels = 64,
                      .volume = 27};
  const KernelSpec plain = default_gemm(problem, OutputType::storage);
  problem.epilogue = canonical("relu(acc + bias * 0.5 + residual)");
  const KernelSpec spec = default_gemm(problem, OutputType::storage);
  CHECK_THAT(to_string(spec), ContainsSubstring(".bias0.ep_relu(acc+bias~2a0~2e5+residual).storage."));
  CHECK(parse_spec(to_string(spec)) == spec);
  CHECK(source_hash(spec) != source_hash(plain));
  CHECK(spec_hash(spec) != spec_hash(plain));
  CHECK_THAT(emit(spec), ContainsSubstring("kReadsResidual = true") &&
                             ContainsSubstring("kReadsScale = false") &&
                             ContainsSubstring("return flexgemm::relu_of("));
  CHECK(default_gemm(problem, OutputType::partial).epilogue.empty());
  CHECK(gather_rows_spec(problem).epilogue.empty());
  CHECK(reduce_partials_spec(problem).epilogue == problem.epilogue);
}

TEST_CASE("a spec whose epilogue is not the canonical text of an expression is refused") {
  const std::string spec =
      "implicit_gemm.f16.mma_sync.ci64.co64.v27.t128x64x32.s4.w4x2.b2.vec16.16.16.bias0.ep_EP.storage.sm_90a";
  const auto with = [&](const std::string& field) {
    std::string text = spec;
    return text.replace(text.find("EP"), 2, field);
  };
  CHECK_NOTHROW(parse_spec(with("acc~2ascale")));
  for (const char* field :
       {"", "(acc)", "acc~2", "acc~zz", "acc~20", "acc*2", "acc~2Ascale", "acc~3bacc", "~61cc"}) {
    CAPTURE(field);
    CHECK_THROWS_AS(parse_spec(with(field)), std::invalid_argument);
  }
  KernelSpec direct = parse_spec(with("acc"));
  direct.epilogue = "acc; asm(\"trap;\")";
  CHECK_THROWS_AS(emit(direct), std::invalid_argument);
  direct.epilogue = "acc";
  direct.output = OutputType::partial;
  CHECK_THROWS_AS(emit(direct), std::invalid_argument);
}
