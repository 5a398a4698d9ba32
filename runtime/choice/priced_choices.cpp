#include "choice/priced_choices.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>
#include <stdexcept>

#include "codegen/grad_weight_candidates.hpp"
#include "codegen/text.hpp"
#include "core/fail.hpp"

namespace flexgemm::detail {

namespace {

constexpr int split_counts[] = {2, 3, 4, 6, 8, 12, 16};
constexpr int gradient_split_counts[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};

codegen::RowWalk walk_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::explicit_gemm:
      return codegen::RowWalk::gathered;
    case Algorithm::implicit_gemm:
    case Algorithm::implicit_gemm_splitk:
      return codegen::RowWalk::dense;
    default:
      return codegen::RowWalk::masked;
  }
}

bool is_split(Algorithm algorithm) {
  return algorithm == Algorithm::implicit_gemm_splitk || algorithm == Algorithm::masked_implicit_gemm_splitk;
}

/// With one offset all walks are the same: the plain one stands for them.
std::vector<Algorithm> algorithms_for(const PassShape& pass, Breadth breadth) {
  if (pass.algorithm != Algorithm::automatic) return {pass.algorithm};
  if (pass.op == Op::grad_weight) {
    return {Algorithm::masked_implicit_gemm, Algorithm::masked_implicit_gemm_splitk};
  }
  if (pass.volume == 1) return {Algorithm::implicit_gemm, Algorithm::implicit_gemm_splitk};
  if (breadth == Breadth::likely) {
    return {Algorithm::masked_implicit_gemm, Algorithm::masked_implicit_gemm_splitk};
  }
  return {Algorithm::masked_implicit_gemm, Algorithm::masked_implicit_gemm_splitk, Algorithm::implicit_gemm,
          Algorithm::implicit_gemm_splitk, Algorithm::explicit_gemm};
}

/// Blocks a multiprocessor from which a split reduction is not among the likely choices.
constexpr std::int64_t many_blocks = 6;

/// Parts that leave each at least two K tiles, of a reduction whose blocks do not fill the device by far.
bool worth_splitting(const TargetDevice& device, const PassShape& pass, const codegen::KernelSpec& spec,
                     int splits, Breadth breadth) {
  const std::int64_t blocks = codegen::divide_up(std::max<std::int64_t>(pass.rows, 1), spec.row_tile) *
                              codegen::divide_up(spec.out_channels, spec.column_tile);
  if (breadth == Breadth::likely && pass.algorithm == Algorithm::automatic &&
      blocks * splits > many_blocks * device.multiprocessors) {
    return false;
  }
  return std::int64_t{spec.volume} * spec.in_channels >= std::int64_t{2} * splits * spec.k_tile ||
         (splits == 2 && pass.algorithm != Algorithm::automatic);
}

bool same_tile(const codegen::KernelSpec& first, const codegen::KernelSpec& second) {
  return first.kind == second.kind && first.mma == second.mma && first.compute == second.compute &&
         first.row_tile == second.row_tile && first.column_tile == second.column_tile &&
         first.k_tile == second.k_tile && first.warps_m == second.warps_m &&
         first.warps_n == second.warps_n && first.offsets == second.offsets &&
         first.weight_major == second.weight_major;
}

double gemm_price(const codegen::GemmProblem& own, const codegen::MapStatistics& map,
                  const GemmChoice& choice) {
  return codegen::predicted_ms(
      own, map, {.walk = walk_of(choice.algorithm), .spec = choice.spec, .splits = choice.splits});
}

double gradient_price(const codegen::GemmProblem& problem, const codegen::KernelSpec& spec, int splits) {
  return codegen::gradient_nanoseconds(problem, spec, splits) * 1e-6;
}

void price(const TargetDevice& device, const PassShape& pass, const codegen::MapStatistics& map,
           Algorithm algorithm, Breadth breadth, std::vector<PricedChoice>& priced) {
  const codegen::GemmProblem own = gemm_problem(device, pass, Algorithm::implicit_gemm);
  const auto add = [&](codegen::KernelSpec spec, int splits) {
    int groups = 1;
    if (spec.kind == codegen::KernelKind::persistent_gemm && splits > 1) {
      if (splits > codegen::most_groups(pass.volume)) return;
      groups = splits;
    }
    if (algorithm == Algorithm::masked_implicit_gemm) {
      groups = codegen::default_groups(own, spec);
      if (groups > 1) spec.output = codegen::OutputType::chained;
    }
    const GemmChoice choice{.algorithm = algorithm, .spec = spec, .splits = splits, .groups = groups};
    priced.push_back({choice, gemm_price(own, map, choice)});
  };
  const bool split = is_split(algorithm);
  const codegen::OutputType output = output_type(pass, algorithm);
  for (const codegen::KernelSpec& spec :
       codegen::gemm_candidates(gemm_problem(device, pass, algorithm), output)) {
    if (!split) add(spec, 1);
    std::set<int> counts(std::begin(split_counts), std::end(split_counts));
    if (spec.kind == codegen::KernelKind::persistent_gemm) counts.insert(codegen::default_splits(own, spec));
    for (const int splits : counts) {
      if (split && worth_splitting(device, pass, spec, splits, breadth)) add(spec, splits);
    }
  }
}

/// Weight gradients: the list of pairs is walked, so that only the masked forms are worth trying.
void price_gradient(const TargetDevice& device, const PassShape& pass, Algorithm algorithm,
                    std::vector<PricedChoice>& priced) {
  const codegen::GemmProblem problem = gemm_problem(device, pass, algorithm);
  const bool split = is_split(algorithm);
  for (const codegen::KernelSpec& spec : codegen::gemm_candidates(problem, output_type(pass, algorithm))) {
    std::set<int> counts(std::begin(gradient_split_counts), std::end(gradient_split_counts));
    counts.insert(std::max(codegen::default_splits(problem, spec), split ? 2 : 1));  // what runs untuned
    for (const int splits : counts) {
      const bool suits = splits <= 2 || codegen::gradient_splits_suit(problem, spec, splits);
      if (split != (splits > 1) || !suits) continue;
      priced.push_back(
          {{.algorithm = algorithm, .spec = spec, .splits = splits}, gradient_price(problem, spec, splits)});
    }
  }
}

}  // namespace

codegen::MapStatistics statistics_of(const PassShape& pass) {
  codegen::MapStatistics map;
  map.rows = pass.rows;
  map.pairs = pass.pairs;
  map.volume = pass.volume;
  return map;
}

std::vector<PricedChoice> priced_choices(const TargetDevice& device, const PassShape& pass,
                                         const codegen::MapStatistics& map, Breadth breadth) {
  std::vector<PricedChoice> priced;
  std::string reason;
  for (const Algorithm algorithm : algorithms_for(pass, breadth)) {
    try {
      if (pass.op == Op::grad_weight) {
        price_gradient(device, pass, algorithm, priced);
      } else {
        price(device, pass, map, algorithm, breadth, priced);
      }
    } catch (const std::logic_error& error) {  // codegen's word for a problem that it has no kernel for
      if (reason.empty()) reason = error.what();
    }
  }
  if (priced.empty()) {
    fail(ErrorCode::unsupported, "no kernel serves this convolution on {}: {}",
         codegen::to_string(device.architecture), reason);
  }
  std::stable_sort(priced.begin(), priced.end(), [](const PricedChoice& first, const PricedChoice& second) {
    return first.predicted_ms < second.predicted_ms;
  });
  return priced;
}

double price_of(const TargetDevice& device, const PassShape& pass, const codegen::MapStatistics& map,
                const GemmChoice& choice) {
  if (pass.op == Op::grad_weight)
    return gradient_price(gemm_problem(device, pass, choice.algorithm), choice.spec, choice.splits);
  return gemm_price(gemm_problem(device, pass, Algorithm::implicit_gemm), map, choice);
}

PassShape with_rounded_counts(PassShape pass) {
  const auto rounded = [](double value, double steps_an_octave) {
    return value <= 1 ? value : std::exp2(std::round(std::log2(value) * steps_an_octave) / steps_an_octave);
  };
  if (pass.rows <= 0) return pass;
  const double pairs_per_row = static_cast<double>(pass.pairs) / static_cast<double>(pass.rows);
  pass.rows = std::llround(rounded(static_cast<double>(pass.rows), 12));
  pass.pairs = std::llround(rounded(pairs_per_row, 8) * static_cast<double>(pass.rows));
  return pass;
}

std::optional<PricedChoice> choice_like(const std::vector<PricedChoice>& priced, Algorithm algorithm,
                                        std::string_view kernel, int splits) {
  codegen::KernelSpec spec;
  try {
    spec = codegen::parse_spec(kernel);
  } catch (const std::invalid_argument&) {
    return std::nullopt;
  }
  const PricedChoice* similar = nullptr;
  for (const PricedChoice& candidate : priced) {
    const GemmChoice& choice = candidate.choice;
    if (choice.algorithm != algorithm || choice.splits != splits) continue;
    if (choice.spec == spec) return candidate;
    if (same_tile(choice.spec, spec)) {
      const bool closer = similar == nullptr || std::abs(choice.spec.stages - spec.stages) <
                                                    std::abs(similar->choice.spec.stages - spec.stages);
      if (closer) similar = &candidate;
    }
  }
  if (similar == nullptr) return std::nullopt;
  return *similar;
}

}  // namespace flexgemm::detail
