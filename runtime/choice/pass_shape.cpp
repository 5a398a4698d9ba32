#include "choice/pass_shape.hpp"

#include <algorithm>
#include <stdexcept>

#include "codegen/emit.hpp"
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

GemmChoice default_choice(const codegen::GemmProblem& problem, Algorithm algorithm) {
  const bool split = is_split(algorithm);
  GemmChoice choice;
  choice.algorithm = algorithm;
  choice.spec =
      codegen::default_gemm(problem, split ? codegen::OutputType::partial : codegen::OutputType::storage);
  choice.splits = split ? codegen::default_splits(problem, choice.spec) : 1;
  return choice;
}

GemmChoice choose(const TargetDevice& device, const PassShape& pass) {
  const Algorithm pinned = pass.algorithm;
  if (pinned != Algorithm::automatic) return default_choice(gemm_problem(device, pass, pinned), pinned);
  const Algorithm whole = pass.volume == 1 ? Algorithm::implicit_gemm : Algorithm::masked_implicit_gemm;
  const GemmChoice choice = default_choice(gemm_problem(device, pass, whole), whole);
  const std::int64_t row_tiles = (pass.rows + choice.spec.row_tile - 1) / choice.spec.row_tile;
  const std::int64_t blocks = row_tiles * codegen::launch_shape(choice.spec).column_tiles;
  if (pass.volume == 1 || blocks >= device.multiprocessors) return choice;
  const Algorithm split = Algorithm::masked_implicit_gemm_splitk;
  return default_choice(gemm_problem(device, pass, split), split);
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

}  // namespace

codegen::GemmProblem gemm_problem(const TargetDevice& device, const PassShape& pass, Algorithm algorithm) {
  codegen::GemmProblem problem;
  problem.architecture = device.architecture;
  problem.compute = element_type(pass.dtype);
  problem.in_channels = static_cast<int>(pass.in_channels);
  problem.out_channels = static_cast<int>(pass.out_channels);
  problem.volume = pass.volume;
  problem.rows = pass.rows;
  problem.pairs_per_row =
      pass.rows == 0 ? 0 : static_cast<double>(pass.pairs) / static_cast<double>(pass.rows);
  problem.multiprocessors = device.multiprocessors;
  problem.feats_alignment = pass.first_alignment;
  problem.weight_alignment = pass.second_alignment;
  problem.output_alignment = pass.output_alignment;
  problem.bias = pass.bias;
  problem.epilogue = pass.epilogue;
  if (is_split(algorithm)) problem.output_alignment = 16;  // partials lie in the library's own memory
  if (algorithm == Algorithm::explicit_gemm) {
    problem.feats_alignment = 16;  // so do gathered rows
    problem.in_channels *= problem.volume;
    problem.volume = 1;
    problem.pairs_per_row = 1;
  }
  return problem;
}

GemmChoice choose_gemm(const TargetDevice& device, const PassShape& pass) {
  return with_codegen_errors(device, [&] { return choose(device, pass); });
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

std::vector<codegen::KernelSpec> kernels_of(const TargetDevice& device, const PassShape& pass,
                                            const GemmChoice& choice) {
  std::vector<codegen::KernelSpec> specs{choice.spec};
  if (choice.algorithm == Algorithm::explicit_gemm) specs.push_back(gather_spec(device, pass));
  if (is_split(choice.algorithm)) specs.push_back(reduce_spec(device, pass));
  return specs;
}

}  // namespace flexgemm::detail
