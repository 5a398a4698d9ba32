#include "choice/given_choices.hpp"

#include <stdexcept>

#include "codegen/emit.hpp"
#include "codegen/grad_weight_candidates.hpp"
#include "codegen/resources.hpp"
#include "core/fail.hpp"

namespace flexgemm::detail {

namespace {

codegen::KernelSpec parsed(const KernelChoice& choice) {
  codegen::KernelSpec spec;
  try {
    spec = codegen::parse_spec(choice.kernel);
  } catch (const std::invalid_argument& error) {
    fail(ErrorCode::invalid_argument, "the kernel {} cannot be read: {}", choice.kernel, error.what());
  }
  if (const auto reason = codegen::rejection(spec))
    fail(ErrorCode::invalid_argument, "the kernel {} is not valid: {}", choice.kernel, *reason);
  return spec;
}

bool is_gradient(codegen::KernelKind kind) {
  return kind == codegen::KernelKind::grad_weight || kind == codegen::KernelKind::resident_grad_weight;
}

/// What of a spec the pass decides, as text to compare and to show.
std::string demands(const codegen::KernelSpec& spec) {
  return std::string(codegen::name(spec.compute)) + " ci" + std::to_string(spec.in_channels) + " co" +
         std::to_string(spec.out_channels) + " v" + std::to_string(spec.volume) + " bias" +
         std::to_string(static_cast<int>(spec.bias)) + " epilogue(" + spec.epilogue + ") " +
         codegen::to_string(spec.architecture) + (is_gradient(spec.kind) ? " grad_weight" : "") +
         (spec.output == codegen::OutputType::partial ? " partial" : " storage");
}

bool is_split(Algorithm algorithm) {
  return algorithm == Algorithm::implicit_gemm_splitk || algorithm == Algorithm::masked_implicit_gemm_splitk;
}

void check(const TargetDevice& device, const PassShape& pass, const KernelChoice& choice,
           const codegen::KernelSpec& spec) {
  if (choice.algorithm == Algorithm::automatic)
    fail(ErrorCode::invalid_argument, "a given choice needs an algorithm of its own, not auto");
  if (pass.algorithm != Algorithm::automatic && pass.algorithm != choice.algorithm) {
    fail(ErrorCode::invalid_argument, "the kernel {} is given for {}, and the layer's algorithm is {}",
         choice.kernel, name(choice.algorithm), name(pass.algorithm));
  }
  const codegen::KernelSpec own = codegen::gemm_candidates(gemm_problem(device, pass, choice.algorithm),
                                                           output_type(pass, choice.algorithm))
                                      .front();
  if (!codegen::is_tiled(spec.kind) || demands(spec) != demands(own)) {
    fail(ErrorCode::invalid_argument, "the kernel {} does not serve the pass: it needs {} and this is {} {}",
         choice.kernel, demands(own), codegen::name(spec.kind), demands(spec));
  }
  if (codegen::is_resident(spec.kind) && !gemm_problem(device, pass, choice.algorithm).resident) {
    fail(ErrorCode::invalid_argument, "the kernel {} needs a resident layout, which {} of this map has not",
         choice.kernel, name(choice.algorithm));
  }
  if (spec.feats_vector_bytes > own.feats_vector_bytes ||
      spec.weight_vector_bytes > own.weight_vector_bytes ||
      spec.output_vector_bytes > own.output_vector_bytes) {
    fail(ErrorCode::invalid_argument,
         "the vectors of the kernel {} are wider than the pass allows: {}, {}, {}", choice.kernel,
         own.feats_vector_bytes, own.weight_vector_bytes, own.output_vector_bytes);
  }
  if (spec.weight_major == codegen::WeightMajor::mn &&
      gemm_problem(device, pass, choice.algorithm).given_weight_alignment < spec.weight_vector_bytes) {
    fail(ErrorCode::invalid_argument,
         "the kernel {} reads the weights of grad_input as they are given, aligned to {} bytes: the pass has "
         "none",
         choice.kernel, spec.weight_vector_bytes);
  }
  const bool chained = spec.output == codegen::OutputType::chained;
  const int least_groups = chained                                             ? 1
                           : spec.kind == codegen::KernelKind::persistent_gemm ? choice.splits
                                                                               : 1;
  const int most_groups = chained ? codegen::most_groups(spec.volume) : least_groups;
  const bool splits_fit = is_split(choice.algorithm) ? choice.splits > 1 : choice.splits == 1;
  if (!splits_fit || choice.groups < least_groups || choice.groups > most_groups) {
    fail(ErrorCode::invalid_argument,
         "{} splits and {} groups do not suit {} by the kernel {}: split forms take 2 and more splits, "
         "chained "
         "output 1 to {} groups, partial sums of persistent_gemm as many groups as splits, all others 1",
         choice.splits, choice.groups, name(choice.algorithm), choice.kernel,
         codegen::most_groups(spec.volume));
  }
}

}  // namespace

std::vector<PricedChoice> given_choices(const TargetDevice& device, const PassShape& pass,
                                        const std::vector<KernelChoice>& given) {
  std::vector<PricedChoice> priced;
  for (const KernelChoice& choice : given) {
    const codegen::KernelSpec spec = parsed(choice);
    check(device, pass, choice, spec);
    const GemmChoice exact{
        .algorithm = choice.algorithm, .spec = spec, .splits = choice.splits, .groups = choice.groups};
    priced.push_back({exact, price_of(device, pass, statistics_of(pass), exact)});
  }
  return priced;
}

}  // namespace flexgemm::detail
