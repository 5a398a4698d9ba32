#include <array>
#include <charconv>
#include <string>
#include <utility>

#include <flexgemm/conv3d.hpp>
#include <flexgemm/device.hpp>
#include <flexgemm/dtype.hpp>

#include "core/fail.hpp"

namespace flexgemm {

namespace {

constexpr std::array<std::pair<std::string_view, DType>, 12> dtype_names{{
    {"f32", DType::f32},
    {"tf32", DType::tf32},
    {"f16", DType::f16},
    {"bf16", DType::bf16},
    {"i32", DType::i32},
    {"fp32", DType::f32},
    {"float32", DType::f32},
    {"fp16", DType::f16},
    {"float16", DType::f16},
    {"half", DType::f16},
    {"bfloat16", DType::bf16},
    {"int32", DType::i32},
}};

constexpr std::array all_algorithms{
    Algorithm::automatic,
    Algorithm::explicit_gemm,
    Algorithm::implicit_gemm,
    Algorithm::implicit_gemm_splitk,
    Algorithm::masked_implicit_gemm,
    Algorithm::masked_implicit_gemm_splitk,
};

}  // namespace

const char* name(DType dtype) noexcept {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::tf32:
      return "tf32";
    case DType::f16:
      return "f16";
    case DType::bf16:
      return "bf16";
    case DType::i32:
      return "i32";
  }
  return "unknown";
}

DType parse_dtype(std::string_view text) {
  for (const auto& [known, dtype] : dtype_names) {
    if (text == known) return dtype;
  }
  detail::fail(ErrorCode::invalid_argument, "'{}' is not an element type; use f32, tf32, f16 or bf16", text);
}

const char* name(Op op) noexcept {
  switch (op) {
    case Op::forward:
      return "forward";
    case Op::grad_input:
      return "grad_input";
    case Op::grad_weight:
      return "grad_weight";
  }
  return "unknown";
}

const char* name(Algorithm algorithm) noexcept {
  switch (algorithm) {
    case Algorithm::automatic:
      return "auto";
    case Algorithm::explicit_gemm:
      return "explicit_gemm";
    case Algorithm::implicit_gemm:
      return "implicit_gemm";
    case Algorithm::implicit_gemm_splitk:
      return "implicit_gemm_splitk";
    case Algorithm::masked_implicit_gemm:
      return "masked_implicit_gemm";
    case Algorithm::masked_implicit_gemm_splitk:
      return "masked_implicit_gemm_splitk";
  }
  return "unknown";
}

Algorithm parse_algorithm(std::string_view text) {
  for (const Algorithm algorithm : all_algorithms) {
    if (text == name(algorithm)) return algorithm;
  }
  detail::fail(ErrorCode::invalid_argument,
               "'{}' is not an algorithm; use auto, explicit_gemm, implicit_gemm, implicit_gemm_splitk, "
               "masked_implicit_gemm or masked_implicit_gemm_splitk",
               text);
}

Device Device::parse(std::string_view text) {
  if (text == "cpu") return Device::cpu();
  if (text == "cuda") return Device::cuda(0);
  constexpr std::string_view prefix = "cuda:";
  if (text.starts_with(prefix)) {
    const std::string_view digits = text.substr(prefix.size());
    int ordinal = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), ordinal);
    if (error == std::errc() && end == digits.data() + digits.size() && ordinal >= 0)
      return Device::cuda(ordinal);
  }
  detail::fail(ErrorCode::invalid_argument, "'{}' is not a device; use cpu, cuda or cuda:N", text);
}

std::string to_string(Device device) {
  return device.is_cpu() ? "cpu" : fmt::format("cuda:{}", device.ordinal());
}

}  // namespace flexgemm
