// libFuzzer program of the epilogue grammar. Whatever the text: a refusal is an ExpressionError that names a
// place within it; what is accepted has a canonical form that reads back as the same nodes, becomes CUDA text
// of a few known characters, and is evaluated within the stack that it announces.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "codegen/emit.hpp"
#include "codegen/expression.hpp"

using namespace flexgemm::codegen;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check_refusal(std::string_view text, const std::string& message) {
  constexpr std::string_view start = "the epilogue's expression is wrong at character ";
  require(message.starts_with(start));
  const unsigned long place = std::stoul(message.substr(start.size()));
  require(place >= 1 && place <= text.size() + 1);
  for (const char character : message) require(character >= ' ' && character <= '~');
}

void check_cuda(const std::string& source) {
  constexpr std::string_view known =
      "abcdefghijklmnopqrstuvwxyz_0123456789.,:?()+-*/<>=! ";  // no ; { } [ ] # \ & | " ' @ $
  for (const char character : source) require(known.find(character) != std::string_view::npos);
  for (const std::string_view comment : {"//", "/*"}) require(source.find(comment) == std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  Expression expression;
  try {
    expression = Expression::parse(text, size % 2 == 0);
  } catch (const ExpressionError& error) {
    check_refusal(text, error.what());
    return 0;
  }
  const std::string canonical = to_string(expression);
  const Expression again = Expression::parse(canonical, true);
  require(again.nodes() == expression.nodes());
  require(to_string(again) == canonical);
  check_cuda(to_cuda(expression));
  float values[3] = {-1, 0, 2};
  const float operand[3] = {0.5F, -2, 3};
  evaluate(expression, {.bias = operand, .residual = operand, .scale = operand, .shift = operand}, 3, values);

  KernelSpec spec = parse_spec(
      "implicit_gemm.f16.mma_sync.ci64.co64.v27.t128x64x32.s4.w4x2.b2.vec16.16.16.bias0.storage.sm_90a");
  spec.epilogue = canonical;
  require(parse_spec(to_string(spec)) == spec);
  require(!rejection(spec));
  return 0;
}
