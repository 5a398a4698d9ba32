#include <algorithm>
#include <cstdint>

#include "core/fail.hpp"
#include "cuda/pass_run.hpp"

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

/// Architecture that kernels are generated for: from Hopper on with the instructions of exactly this one.
codegen::Architecture architecture_of(const DeviceProperties& properties) {
  codegen::Architecture architecture;
  architecture.major = properties.major;
  architecture.minor = properties.minor;
  architecture.suffix = properties.major >= 9 ? 'a' : '\0';
  return architecture;
}

/// Largest power of two, at most 16, that divides the address.
int alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  int alignment = 16;
  while (address % static_cast<std::uintptr_t>(alignment) != 0) alignment /= 2;
  return alignment;
}

codegen::BiasType bias_type(const GemmPass& pass) {
  if (pass.bias == nullptr) return codegen::BiasType::none;
  // A float bias of a float convolution is both; one name for it keeps one kernel.
  return pass.bias_dtype == DType::f32 ? codegen::BiasType::f32 : codegen::BiasType::storage;
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

GemmChoice choose(const CudaDevice& device, const GemmPass& pass) {
  const Algorithm pinned = pass.conv->algorithm;
  if (pinned != Algorithm::automatic) return default_choice(gemm_problem(device, pass, pinned), pinned);
  const int volume = pass.map->volume();
  const Algorithm whole = volume == 1 ? Algorithm::implicit_gemm : Algorithm::masked_implicit_gemm;
  const GemmChoice choice = default_choice(gemm_problem(device, pass, whole), whole);
  const std::int64_t blocks =
      ceil_div(pass.map->rows, choice.spec.row_tile) * codegen::launch_shape(choice.spec).column_tiles;
  if (volume == 1 || blocks >= device.properties().multiprocessors) return choice;
  const Algorithm split = Algorithm::masked_implicit_gemm_splitk;
  return default_choice(gemm_problem(device, pass, split), split);
}

/// The operand whose rows are gathered, and the one that they meet.
const void* first_operand(const GemmPass& pass) {
  return pass.op == Op::grad_input ? pass.grad_out : pass.feats;
}
const void* second_operand(const GemmPass& pass) {
  return pass.op == Op::grad_weight ? pass.grad_out : pass.weight;
}

}  // namespace

codegen::GemmProblem gemm_problem(const CudaDevice& device, const GemmPass& pass, Algorithm algorithm) {
  const Conv3dOptions& conv = *pass.conv;
  const CudaMap& map = *pass.map;
  codegen::GemmProblem problem;
  problem.architecture = architecture_of(device.properties());
  problem.compute = element_type(conv.dtype);
  problem.in_channels = static_cast<int>(conv.in_channels);
  problem.out_channels = static_cast<int>(conv.out_channels);
  problem.volume = map.volume();
  problem.rows = map.rows;
  problem.pairs_per_row =
      map.rows == 0 ? 0 : static_cast<double>(map.pairs()) / static_cast<double>(map.rows);
  problem.multiprocessors = device.properties().multiprocessors;
  problem.feats_alignment = alignment_of(first_operand(pass));
  problem.weight_alignment = alignment_of(second_operand(pass));
  problem.output_alignment = alignment_of(pass.output);
  problem.bias = bias_type(pass);
  if (is_split(algorithm)) problem.output_alignment = 16;  // partials lie in the library's own memory
  if (algorithm == Algorithm::explicit_gemm) {
    problem.feats_alignment = 16;  // so do gathered rows
    problem.in_channels *= problem.volume;
    problem.volume = 1;
    problem.pairs_per_row = 1;
  }
  return problem;
}

GemmChoice choose_gemm(const CudaDevice& device, const GemmPass& pass) {
  return with_codegen_errors(device, [&] { return choose(device, pass); });
}

ChoiceCache::Key ChoiceCache::key_of(const GemmPass& pass) {
  const Conv3dOptions& conv = *pass.conv;
  return {static_cast<std::int64_t>(pass.op),
          conv.in_channels,
          conv.out_channels,
          pass.map->rows,
          pass.map->pairs(),
          pass.map->volume(),
          static_cast<std::int64_t>(conv.dtype),
          static_cast<std::int64_t>(conv.algorithm),
          alignment_of(first_operand(pass)),
          alignment_of(second_operand(pass)),
          alignment_of(pass.output),
          static_cast<std::int64_t>(bias_type(pass)),
          static_cast<std::int64_t>(pass.output_dtype)};
}

GemmChoice ChoiceCache::get(const CudaDevice& device, const GemmPass& pass) {
  constexpr std::size_t most_choices = 1024;  // a stream of frames has ever new row counts
  const Key key = key_of(pass);
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = choices_.find(key); found != choices_.end()) return found->second;
  }
  GemmChoice choice = choose_gemm(device, pass);
  const std::lock_guard lock(mutex_);
  if (choices_.size() >= most_choices) choices_.clear();
  choices_.emplace(key, choice);
  return choice;
}

}  // namespace flexgemm::detail
