#include "choice/pass_shape.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "choice/priced_choices.hpp"
#include "core/fail.hpp"

namespace flexgemm::detail {

namespace {

codegen::ElementType element_type(DType dtype) {
  switch (dtype) {
    case DType::tf32:
      return codegen::ElementType::tf32;
    case DType::f16:
      return codegen::ElementType::f16;
    case DType::bf16:
      return codegen::ElementType::bf16;
    case DType::f32:
    case DType::i32:  // no convolution has it
      break;
  }
  return codegen::ElementType::f32;
}

bool is_split(Algorithm algorithm) {
  return algorithm == Algorithm::implicit_gemm_splitk || algorithm == Algorithm::masked_implicit_gemm_splitk;
}

GemmChoice default_choice(const TargetDevice& device, const PassShape& pass, Algorithm algorithm) {
  const codegen::GemmProblem problem = gemm_problem(device, pass, algorithm);
  GemmChoice choice;
  choice.algorithm = algorithm;
  choice.spec = codegen::default_gemm(problem, output_type(pass, algorithm));
  if (is_split(algorithm)) choice.splits = std::max(2, codegen::default_splits(problem, choice.spec));
  return choice;
}

/// Split unless one part is expected to be fastest.
GemmChoice choose_grad_weight(const TargetDevice& device, const PassShape& pass) {
  const Algorithm split = Algorithm::masked_implicit_gemm_splitk;
  const GemmChoice choice = default_choice(device, pass, split);
  if (codegen::default_splits(gemm_problem(device, pass, split), choice.spec) > 1) return choice;
  return default_choice(device, pass, Algorithm::masked_implicit_gemm);
}

/// What codegen throws becomes the library's error.
template <class Make>
auto with_codegen_errors(const TargetDevice& device, const Make& make) {
  try {
    return make();
  } catch (const std::logic_error& error) {  // invalid_argument included; Error is none
    fail(ErrorCode::unsupported, "no kernel serves this convolution on {}: {}",
         codegen::to_string(device.architecture), error.what());
  }
}

/// Pairs that one grad_weight block sums before the sums pass through memory (templates/kernels/
/// grad_weight.cuh), where 16 bits would round them.
constexpr std::int64_t most_pairs_in_registers = 65536;

/// Type that the kernel of a choice writes.
DType written_type(const PassShape& pass, const codegen::KernelSpec& spec) {
  return spec.output == codegen::OutputType::partial ? DType::f32 : storage_type(pass.dtype);
}

}  // namespace

codegen::OutputType output_type(const PassShape& pass, Algorithm algorithm) {
  if (is_split(algorithm)) return codegen::OutputType::partial;
  if (pass.op != Op::grad_weight) return codegen::OutputType::storage;
  const bool one_sum = pass.rows <= most_pairs_in_registers && algorithm != Algorithm::explicit_gemm;
  const bool direct =
      pass.output_dtype == storage_type(pass.dtype) && (pass.output_dtype == DType::f32 || one_sum);
  return direct ? codegen::OutputType::storage : codegen::OutputType::partial;
}

bool needs_reduction(const PassShape& pass, const GemmChoice& choice) {
  if (is_split(choice.algorithm)) return true;
  return pass.op == Op::grad_weight && written_type(pass, choice.spec) != pass.output_dtype;
}

codegen::GemmProblem gemm_problem(const TargetDevice& device, const PassShape& pass, Algorithm algorithm) {
  codegen::GemmProblem problem;
  problem.architecture = device.architecture;
  problem.compute = element_type(pass.dtype);
  problem.in_channels = static_cast<int>(pass.in_channels);
  problem.out_channels = static_cast<int>(pass.out_channels);
  problem.volume = pass.volume;
  problem.rows = pass.rows;
  if (pass.op == Op::grad_input) std::swap(problem.in_channels, problem.out_channels);
  if (pass.op == Op::grad_weight) problem.kind = codegen::KernelKind::grad_weight;
  problem.pairs_per_row =
      pass.rows == 0 ? 0 : static_cast<double>(pass.pairs) / static_cast<double>(pass.rows);
  problem.multiprocessors = device.multiprocessors;
  problem.feats_alignment = pass.first_alignment;
  // The weights of grad_input are transposed into the library's own memory, or read as they are given.
  problem.weight_alignment = pass.op == Op::grad_input ? 16 : pass.second_alignment;
  if (pass.op == Op::grad_input) problem.given_weight_alignment = pass.second_alignment;
  problem.output_alignment = pass.output_alignment;
  // Resident kernels leave out what no row of theirs needs.
  const bool masked =
      algorithm == Algorithm::masked_implicit_gemm || algorithm == Algorithm::masked_implicit_gemm_splitk;
  problem.resident = pass.resident && masked && (pass.op != Op::grad_weight || is_split(algorithm));
  problem.bias = pass.bias;
  problem.epilogue = pass.epilogue;
  if (is_split(algorithm)) problem.output_alignment = 16;  // partials lie in the library's own memory
  if (algorithm == Algorithm::explicit_gemm) {
    problem.feats_alignment = 16;        // so do gathered rows
    problem.given_weight_alignment = 0;  // its reduction runs over offsets, too
    problem.in_channels *= problem.volume;
    problem.volume = 1;
    problem.pairs_per_row = 1;
  }
  return problem;
}

GemmChoice choose_gemm(const TargetDevice& device, const PassShape& exact) {
  const PassShape pass = with_rounded_counts(exact);
  if (pass.op != Op::grad_weight) {
    return priced_choices(device, pass, statistics_of(pass), Breadth::likely).front().choice;
  }
  return with_codegen_errors(device, [&] {
    return pass.algorithm == Algorithm::automatic ? choose_grad_weight(device, pass)
                                                  : default_choice(device, pass, pass.algorithm);
  });
}

codegen::KernelSpec reduce_spec(const TargetDevice& device, const PassShape& pass) {
  return with_codegen_errors(device, [&] {
    return codegen::reduce_partials_spec(gemm_problem(device, pass, Algorithm::implicit_gemm));
  });
}

codegen::KernelSpec gather_spec(const TargetDevice& device, const PassShape& pass) {
  codegen::GemmProblem problem = gemm_problem(device, pass, Algorithm::implicit_gemm);
  problem.output_alignment = 16;  // the gathered rows
  return with_codegen_errors(device, [&] { return codegen::gather_rows_spec(problem); });
}

codegen::KernelSpec reduce_gradient_spec(const TargetDevice& device, const PassShape& pass,
                                         const GemmChoice& choice) {
  const bool dense = choice.algorithm == Algorithm::explicit_gemm;  // one group of all offsets
  const bool in_float = pass.output_dtype == DType::f32;
  return with_codegen_errors(device, [&] {
    return codegen::reduce_gradient_spec(
        gemm_problem(device, pass, Algorithm::implicit_gemm), dense ? pass.volume : choice.spec.offsets,
        in_float ? codegen::OutputType::partial : codegen::OutputType::storage);
  });
}

codegen::KernelSpec transpose_spec(const TargetDevice& device, const PassShape& pass) {
  return with_codegen_errors(device, [&] {
    return codegen::transpose_weights_spec(gemm_problem(device, pass, Algorithm::implicit_gemm),
                                           pass.second_alignment);
  });
}

std::vector<codegen::KernelSpec> kernels_of(const TargetDevice& device, const PassShape& pass,
                                            const GemmChoice& choice) {
  std::vector<codegen::KernelSpec> specs{choice.spec};
  if (choice.algorithm == Algorithm::explicit_gemm) specs.push_back(gather_spec(device, pass));
  if (needs_reduction(pass, choice)) {
    specs.push_back(pass.op == Op::grad_weight ? reduce_gradient_spec(device, pass, choice)
                                               : reduce_spec(device, pass));
  }
  const bool transposes = pass.op == Op::grad_input && choice.spec.weight_major == codegen::WeightMajor::k;
  if (transposes) specs.push_back(transpose_spec(device, pass));
  return specs;
}

}  // namespace flexgemm::detail
