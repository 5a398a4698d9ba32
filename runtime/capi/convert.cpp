#include "capi/convert.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <utility>

#include "capi/structs.hpp"

namespace flexgemm::capi {

using detail::fail;

namespace {

constexpr std::array<std::pair<flexgemm_dtype, DType>, 5> dtypes{{{FLEXGEMM_F32, DType::f32},
                                                                  {FLEXGEMM_TF32, DType::tf32},
                                                                  {FLEXGEMM_F16, DType::f16},
                                                                  {FLEXGEMM_BF16, DType::bf16},
                                                                  {FLEXGEMM_I32, DType::i32}}};

constexpr std::array<std::pair<flexgemm_op, Op>, 3> ops{{{FLEXGEMM_FORWARD, Op::forward},
                                                         {FLEXGEMM_GRAD_INPUT, Op::grad_input},
                                                         {FLEXGEMM_GRAD_WEIGHT, Op::grad_weight}}};

constexpr std::array<std::pair<flexgemm_algorithm, Algorithm>, 6> algorithms{
    {{FLEXGEMM_AUTOMATIC, Algorithm::automatic},
     {FLEXGEMM_EXPLICIT_GEMM, Algorithm::explicit_gemm},
     {FLEXGEMM_IMPLICIT_GEMM, Algorithm::implicit_gemm},
     {FLEXGEMM_IMPLICIT_GEMM_SPLITK, Algorithm::implicit_gemm_splitk},
     {FLEXGEMM_MASKED_IMPLICIT_GEMM, Algorithm::masked_implicit_gemm},
     {FLEXGEMM_MASKED_IMPLICIT_GEMM_SPLITK, Algorithm::masked_implicit_gemm_splitk}}};

constexpr std::array<std::pair<flexgemm_tuning_policy, TuningPolicy>, 3> policies{
    {{FLEXGEMM_TUNE_NEVER, TuningPolicy::never},
     {FLEXGEMM_TUNE_ON_MISS, TuningPolicy::on_miss},
     {FLEXGEMM_TUNE_FORCE, TuningPolicy::force}}};

using Finding = CacheFinding::Kind;
constexpr std::array<std::pair<flexgemm_finding_kind, Finding>, 11> finding_kinds{
    {{FLEXGEMM_FINDING_NO_FOLDER, Finding::no_folder},
     {FLEXGEMM_FINDING_SWITCHED_OFF, Finding::switched_off},
     {FLEXGEMM_FINDING_UNTRUSTED, Finding::untrusted},
     {FLEXGEMM_FINDING_READ_ONLY, Finding::read_only},
     {FLEXGEMM_FINDING_DAMAGED, Finding::damaged},
     {FLEXGEMM_FINDING_FOREIGN, Finding::foreign},
     {FLEXGEMM_FINDING_NEWER, Finding::newer},
     {FLEXGEMM_FINDING_OUTDATED, Finding::outdated},
     {FLEXGEMM_FINDING_SET_ASIDE, Finding::set_aside},
     {FLEXGEMM_FINDING_LEFT_OVER, Finding::left_over},
     {FLEXGEMM_FINDING_UNREADABLE, Finding::unreadable}}};

constexpr std::array<std::pair<flexgemm_tuning_end, TuneEnd>, 3> tuning_ends{
    {{FLEXGEMM_TUNING_COMPLETE, TuneEnd::complete},
     {FLEXGEMM_TUNING_BUDGET, TuneEnd::budget},
     {FLEXGEMM_TUNING_CANCELLED, TuneEnd::cancelled}}};

constexpr std::array<std::pair<flexgemm_activation, Activation>, 5> activations{
    {{FLEXGEMM_NO_ACTIVATION, Activation::none},
     {FLEXGEMM_RELU, Activation::relu},
     {FLEXGEMM_LEAKY_RELU, Activation::leaky_relu},
     {FLEXGEMM_SILU, Activation::silu},
     {FLEXGEMM_GELU, Activation::gelu}}};

/// The value that a number stands for. `name` is the argument's, and `field` what of it the number is.
template <class Table>
auto look_up(const Table& table, std::int32_t number, const char* name, const char* field, const char* type) {
  for (const auto& [known, value] : table) {
    if (known == number) return value;
  }
  fail(ErrorCode::invalid_argument, "{}{} is {}, which is no {}; the values are 0 to {}", name, field, number,
       type, table.size() - 1);
}

template <class Table, class Value>
std::int32_t number_of(const Table& table, Value value) noexcept {
  const auto found =
      std::find_if(table.begin(), table.end(), [value](const auto& row) { return row.second == value; });
  return found == table.end() ? -1 : found->first;
}

}  // namespace

Device to_device(flexgemm_device_kind kind, std::int32_t ordinal) {
  if (kind == FLEXGEMM_DEVICE_CUDA) return Device::cuda(ordinal);
  if (kind != FLEXGEMM_DEVICE_CPU) {
    fail(ErrorCode::invalid_argument, "kind is {}, which is no flexgemm_device_kind; use 0 (cpu) or 1 (cuda)",
         kind);
  }
  if (ordinal != 0) {
    fail(ErrorCode::invalid_argument, "ordinal is {}, but the device cpu has the ordinal 0 alone", ordinal);
  }
  return Device::cpu();
}

DType to_dtype(flexgemm_dtype dtype, const char* name) {
  return look_up(dtypes, dtype, name, "", "flexgemm_dtype");
}
Op to_op(flexgemm_op op) { return look_up(ops, op, "op", "", "flexgemm_op"); }
Algorithm to_algorithm(flexgemm_algorithm algorithm) {
  return look_up(algorithms, algorithm, "algorithm", "", "flexgemm_algorithm");
}
TuningPolicy to_tuning_policy(flexgemm_tuning_policy policy) {
  return look_up(policies, policy, "tuning_policy", "", "flexgemm_tuning_policy");
}

CacheFinding::Kind to_finding_kind(flexgemm_finding_kind kind) {
  return look_up(finding_kinds, kind, "kind", "", "flexgemm_finding_kind");
}
TuneEnd to_tuning_end(flexgemm_tuning_end end) {
  return look_up(tuning_ends, end, "end", "", "flexgemm_tuning_end");
}

Activation to_activation(flexgemm_activation activation) {
  return look_up(activations, activation, "activation", "", "flexgemm_activation");
}

flexgemm_dtype from_dtype(DType dtype) noexcept { return number_of(dtypes, dtype); }
flexgemm_algorithm from_algorithm(Algorithm algorithm) noexcept { return number_of(algorithms, algorithm); }
flexgemm_tuning_policy from_tuning_policy(TuningPolicy policy) noexcept {
  return number_of(policies, policy);
}
flexgemm_finding_kind from_finding_kind(CacheFinding::Kind kind) noexcept {
  return number_of(finding_kinds, kind);
}
flexgemm_tuning_end from_tuning_end(TuneEnd end) noexcept { return number_of(tuning_ends, end); }

double to_budget(std::int64_t milliseconds, double default_seconds, const char* name) {
  if (milliseconds < 0) {
    fail(ErrorCode::invalid_argument, "{} is {}; it must not be negative", name, milliseconds);
  }
  return milliseconds == 0 ? default_seconds : static_cast<double>(milliseconds) * 1e-3;
}

std::vector<std::string> to_texts(const char* const* texts, std::size_t count, const char* name) {
  if (count > 0) require_pointer(texts, name);
  std::vector<std::string> result;
  for (std::size_t i = 0; i < count; ++i) {
    require_pointer(texts[i], fmt::format("{}[{}]", name, i).c_str());
    result.emplace_back(texts[i]);
  }
  return result;
}

Conv3dOptions to_conv_options(const flexgemm_conv3d_options* options, const char* name) {
  const flexgemm_conv3d_options given = read_struct(options, name);
  require_reserved(given.reserved, name);
  return {.in_channels = given.in_channels,
          .out_channels = given.out_channels,
          .kernel = to_extents(given.kernel, 3),
          .dtype = to_dtype(given.dtype, fmt::format("{}->dtype", name).c_str()),
          .algorithm = to_algorithm(given.algorithm),
          .epilogue = to_epilogue(given.epilogue)};
}

Extent3 to_extents(const std::int32_t (&extents)[3], std::int32_t default_extent) noexcept {
  if (extents[0] == 0 && extents[1] == 0 && extents[2] == 0)
    return {default_extent, default_extent, default_extent};
  return {extents[0], extents[1], extents[2]};
}

TensorView to_view(const flexgemm_tensor* tensor, const char* name) {
  if (tensor == nullptr) return {};
  const flexgemm_tensor given = read_struct(tensor, name);
  const std::int64_t(&n)[5] = given.shape;
  const DType dtype = look_up(dtypes, given.dtype, name, "->dtype", "flexgemm_dtype");
  switch (given.rank) {
    case 0:
      return {};
    case 1:
      return {given.data, dtype, {n[0]}};
    case 2:
      return {given.data, dtype, {n[0], n[1]}};
    case 3:
      return {given.data, dtype, {n[0], n[1], n[2]}};
    case 4:
      return {given.data, dtype, {n[0], n[1], n[2], n[3]}};
    case 5:
      return {given.data, dtype, {n[0], n[1], n[2], n[3], n[4]}};
    default:
      fail(ErrorCode::invalid_argument, "{}->rank is {}; it must lie between 0 and {}", name, given.rank,
           Shape::max_rank);
  }
}

Epilogue to_epilogue(const flexgemm_epilogue* epilogue) {
  if (epilogue == nullptr) return {};
  const flexgemm_epilogue given = read_struct(epilogue, "options->epilogue");
  Epilogue result;
  result.scale_shift = given.scale_shift != 0;
  result.residual = given.residual != 0;
  result.activation = to_activation(given.activation);
  if (given.slope != 0) result.slope = given.slope;
  if (given.expression == nullptr) return result;
  if (!(result == Epilogue{})) {
    fail(ErrorCode::invalid_argument,
         "options->epilogue has an expression and fields of the formula that it replaces; set one of them");
  }
  return Epilogue::expression(given.expression);
}

EpilogueOperands to_operands(const flexgemm_operands* operands) {
  if (operands == nullptr) return {};
  const flexgemm_operands given = read_struct(operands, "operands");
  return {.bias = to_view(given.bias, "operands->bias"),
          .residual = to_view(given.residual, "operands->residual"),
          .scale = to_view(given.scale, "operands->scale"),
          .shift = to_view(given.shift, "operands->shift")};
}

Gradients to_gradients(const flexgemm_gradients* gradients) {
  const flexgemm_gradients given = read_struct(gradients, "gradients");
  require_reserved(given.reserved, "gradients");
  return {.input = to_view(given.input, "gradients->input"),
          .weight = to_view(given.weight, "gradients->weight"),
          .bias = to_view(given.bias, "gradients->bias"),
          .accumulate = given.accumulate != 0,
          .transposed_weight = to_view(given.transposed_weight, "gradients->transposed_weight")};
}

flexgemm_tensor from_view(const ConstTensorView& view) noexcept {
  flexgemm_tensor tensor{};
  tensor.struct_size = sizeof tensor;
  tensor.data = const_cast<void*>(view.data);
  tensor.dtype = from_dtype(view.dtype);
  tensor.rank = view.shape.rank();
  for (int i = 0; i < view.shape.rank(); ++i) tensor.shape[i] = view.shape[i];
  return tensor;
}

Stream to_stream(void* stream) noexcept { return static_cast<CUstream_st*>(stream); }

void require_reserved(std::int32_t reserved, const char* name) {
  if (reserved == 0) return;
  fail(ErrorCode::invalid_argument, "{}->reserved is {}; zero the struct before its fields are set", name,
       reserved);
}

void write_choice(const KernelChoice& choice, flexgemm_algorithm* algorithm, char* kernel,
                  std::size_t capacity, std::size_t* length) {
  write_text(choice.kernel, kernel, capacity, length, "kernel");
  if (algorithm != nullptr) *algorithm = from_algorithm(choice.algorithm);
}

void write_text(const std::string& text, char* buffer, std::size_t capacity, std::size_t* length,
                const char* name) {
  if (buffer == nullptr && (capacity != 0 || length == nullptr)) {
    fail(ErrorCode::invalid_argument, "the argument {} is NULL, but capacity is {}{}", name, capacity,
         length == nullptr ? " and length is NULL" : "");
  }
  if (length != nullptr) *length = text.size();
  if (capacity == 0) return;
  const std::size_t copied = std::min(text.size(), capacity - 1);
  std::memcpy(buffer, text.data(), copied);
  buffer[copied] = '\0';
}

}  // namespace flexgemm::capi
