#include <algorithm>
#include <cstdint>
#include <stdexcept>

#include "core/fail.hpp"
#include "cuda/forward.hpp"
#include "cuda/launch.hpp"

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

codegen::BiasType bias_type(const ForwardArguments& arguments) {
  if (arguments.bias == nullptr) return codegen::BiasType::none;
  // A float bias of a float convolution is both; one name for it keeps one kernel.
  return arguments.bias_dtype == DType::f32 ? codegen::BiasType::f32 : codegen::BiasType::storage;
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

GemmChoice choose(const CudaDevice& device, const ForwardArguments& arguments, const CudaMap& map) {
  const Algorithm pinned = arguments.conv->algorithm;
  if (pinned != Algorithm::automatic) {
    return default_choice(forward_problem(device, arguments, map, pinned), pinned);
  }
  const Algorithm whole = map.volume() == 1 ? Algorithm::implicit_gemm : Algorithm::masked_implicit_gemm;
  const GemmChoice choice = default_choice(forward_problem(device, arguments, map, whole), whole);
  const std::int64_t blocks =
      ceil_div(map.rows, choice.spec.row_tile) * codegen::launch_shape(choice.spec).column_tiles;
  if (map.volume() == 1 || blocks >= device.properties().multiprocessors) return choice;
  const Algorithm split = Algorithm::masked_implicit_gemm_splitk;
  return default_choice(forward_problem(device, arguments, map, split), split);
}

}  // namespace

codegen::GemmProblem forward_problem(const CudaDevice& device, const ForwardArguments& arguments,
                                     const CudaMap& map, Algorithm algorithm) {
  const Conv3dOptions& conv = *arguments.conv;
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
  problem.feats_alignment = alignment_of(arguments.feats);
  problem.weight_alignment = alignment_of(arguments.weight);
  problem.output_alignment = alignment_of(arguments.out);
  problem.bias = bias_type(arguments);
  if (is_split(algorithm)) problem.output_alignment = 16;  // partials lie in the library's own memory
  if (algorithm == Algorithm::explicit_gemm) {
    problem.feats_alignment = 16;  // so do gathered rows
    problem.in_channels *= problem.volume;
    problem.volume = 1;
    problem.pairs_per_row = 1;
  }
  return problem;
}

GemmChoice choose_forward(const CudaDevice& device, const ForwardArguments& arguments, const CudaMap& map) {
  try {
    return choose(device, arguments, map);
  } catch (const std::logic_error& error) {  // invalid_argument included; Error is none
    fail(ErrorCode::unsupported, "no kernel serves this convolution on {}: {}", device.description(),
         error.what());
  }
}

ChoiceCache::Key ChoiceCache::key_of(const ForwardArguments& arguments, const CudaMap& map) {
  const Conv3dOptions& conv = *arguments.conv;
  return {conv.in_channels,
          conv.out_channels,
          map.rows,
          map.pairs(),
          map.volume(),
          static_cast<std::int64_t>(conv.dtype),
          static_cast<std::int64_t>(conv.algorithm),
          alignment_of(arguments.feats),
          alignment_of(arguments.weight),
          alignment_of(arguments.out),
          static_cast<std::int64_t>(bias_type(arguments))};
}

GemmChoice ChoiceCache::forward(const CudaDevice& device, const ForwardArguments& arguments,
                                const CudaMap& map) {
  constexpr std::size_t most_choices = 1024;  // a stream of frames has ever new row counts
  const Key key = key_of(arguments, map);
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = choices_.find(key); found != choices_.end()) return found->second;
  }
  GemmChoice choice = choose_forward(device, arguments, map);
  const std::lock_guard lock(mutex_);
  if (choices_.size() >= most_choices) choices_.clear();
  choices_.emplace(key, choice);
  return choice;
}

}  // namespace flexgemm::detail
