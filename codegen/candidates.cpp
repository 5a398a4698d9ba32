#include "candidates.hpp"

#include <algorithm>
#include <bit>
#include <optional>
#include <stdexcept>
#include <utility>

#include "architectures/family.hpp"
#include "emit.hpp"
#include "grad_weight_candidates.hpp"
#include "resident_gradient.hpp"
#include "resources.hpp"
#include "text.hpp"

namespace flexgemm::codegen {

namespace {

/// Largest vector of at most 16 bytes that divides a row and the pointer, at least one element.
int vector_bytes(std::int64_t row_bytes, int alignment, int element_bytes) {
  int bytes = 16;
  while (bytes > element_bytes && (row_bytes % bytes != 0 || alignment % bytes != 0)) bytes /= 2;
  return bytes;
}

/// The problem's types and vectors, with no tile yet.
KernelSpec problem_spec(const GemmProblem& problem, KernelKind kind, OutputType output) {
  const int element = storage_bytes(problem.compute);
  const int output_element = output == OutputType::partial ? 4 : element;
  KernelSpec spec;
  spec.kind = kind;
  spec.compute = problem.compute;
  spec.mma = problem.architecture.has_mma_sync(problem.compute) ? MmaPath::mma_sync : MmaPath::ffma;
  spec.in_channels = problem.in_channels;
  spec.out_channels = problem.out_channels;
  spec.volume = problem.volume;
  const std::int64_t in_bytes = std::int64_t{problem.in_channels} * element;
  const bool gradient = kind == KernelKind::grad_weight || kind == KernelKind::reduce_gradient;
  const std::int64_t out_bytes =
      std::int64_t{gradient ? problem.in_channels : problem.out_channels} * output_element;
  const std::int64_t weight_bytes = gradient ? std::int64_t{problem.out_channels} * element : in_bytes;
  spec.feats_vector_bytes = vector_bytes(in_bytes, problem.feats_alignment, element);
  spec.weight_vector_bytes = vector_bytes(weight_bytes, problem.weight_alignment, element);
  spec.output_vector_bytes = vector_bytes(out_bytes, problem.output_alignment, output_element);
  if (output != OutputType::partial) {
    spec.bias = problem.bias;
    if (kind == KernelKind::implicit_gemm || kind == KernelKind::reduce_partials)
      spec.epilogue = problem.epilogue;
  }
  spec.output = output;
  spec.architecture = problem.architecture;
  return spec;
}

KernelSpec with_shape(KernelSpec spec, const TileShape& shape) {
  if (shape.kind != KernelKind::implicit_gemm) spec.kind = shape.kind;
  spec.mma = shape.mma;
  spec.row_tile = shape.row_tile;
  spec.column_tile = shape.column_tile;
  spec.k_tile = shape.k_bytes / storage_bytes(spec.compute);
  spec.stages = uses_async_copy(spec) ? shape.stages : 2;
  spec.warps_m = shape.warps_m;
  spec.warps_n = shape.warps_n;
  spec.offsets = shape.offsets;
  spec.cluster = shape.cluster;
  while (spec.kind == KernelKind::grad_weight && spec.stages > 2 &&
         shared_bytes(spec) > spec.architecture.shared_bytes_per_block())
    --spec.stages;
  spec.min_blocks = shape.min_blocks;
  if (is_resident(spec.kind)) return spec;  // what shared memory holds depends on its blocks
  spec.min_blocks = std::min(shape.min_blocks, resident_blocks(spec));
  return spec;
}

/// The kernel that reads grad_input's weights as they are given, if there is one for them.
std::optional<KernelSpec> with_given_weight(const GemmProblem& problem, const KernelSpec& spec) {
  if (problem.given_weight_alignment == 0) return std::nullopt;
  const int element = storage_bytes(problem.compute);
  KernelSpec given = spec;
  given.weight_major = WeightMajor::mn;
  given.weight_vector_bytes =
      vector_bytes(std::int64_t{spec.out_channels} * element, problem.given_weight_alignment, element);
  if (rejection(given)) return std::nullopt;
  return given;
}

std::int64_t blocks_of(const GemmProblem& problem, const KernelSpec& spec) {
  return divide_up(problem.rows, spec.row_tile) * divide_up(problem.out_channels, spec.column_tile);
}

/// Parts that a partial-sum kernel's reduction may be cut into, at most: each keeps four K tiles of work.
int most_splits(const GemmProblem& problem, const KernelSpec& spec) {
  constexpr std::int64_t k_tiles_a_split = 4;
  const std::int64_t k_tiles = divide_up(std::int64_t{problem.volume} * problem.in_channels, spec.k_tile);
  return static_cast<int>(std::clamp<std::int64_t>(k_tiles / k_tiles_a_split, 2, 16));
}

/// Moves shapes that leave over a quarter of the multiprocessors without a block behind those that do not;
/// among the former, more blocks go first. Without a row count the order stays.
void prefer_full_devices(const GemmProblem& problem, std::vector<KernelSpec>& specs) {
  if (problem.rows <= 0) return;
  const auto occupied = [&](const KernelSpec& spec) {
    const std::int64_t splits = spec.output == OutputType::partial ? most_splits(problem, spec) : 1;
    return std::min<std::int64_t>(blocks_of(problem, spec) * splits, problem.multiprocessors * 3 / 4);
  };
  std::stable_sort(specs.begin(), specs.end(), [&](const KernelSpec& first, const KernelSpec& second) {
    return occupied(first) > occupied(second);
  });
}

void check_problem(const GemmProblem& problem) {
  KernelSpec spec = problem_spec(problem, KernelKind::gather_rows, OutputType::storage);
  spec.warps_m = 1;
  spec.warps_n = 1;
  if (const auto reason = rejection(spec))
    throw std::invalid_argument("no kernel for the problem: " + *reason);
}

/// A kernel with one thread a vector and no tile: fields that it does not use keep one fixed value, so that
/// equal kernels have equal specs.
KernelSpec elementwise_spec(const GemmProblem& problem, KernelKind kind,
                            OutputType output = OutputType::storage) {
  check_problem(problem);
  KernelSpec spec = problem_spec(problem, kind, output);
  spec.mma = MmaPath::ffma;
  spec.row_tile = 1;
  spec.column_tile = 1;
  spec.k_tile = 1;
  spec.stages = 1;
  spec.warps_m = 8;
  spec.warps_n = 1;
  spec.min_blocks = 4;
  return spec;
}

}  // namespace

std::vector<KernelSpec> gemm_candidates(const GemmProblem& problem, OutputType output) {
  check_problem(problem);
  const bool gradient = problem.kind == KernelKind::grad_weight;
  const KernelSpec base = problem_spec(problem, problem.kind, output);
  std::vector<KernelSpec> specs;
  for (const TileShape& shape :
       gradient ? gradient_shapes(problem) : family_of(problem.architecture).tile_shapes(problem)) {
    const KernelSpec spec = with_shape(base, shape);
    const bool needs_groups = shape.kind == KernelKind::persistent_gemm && output != OutputType::storage;
    if (needs_groups && most_groups(problem.volume) < 2) continue;
    // Its epilogue is unrolled over all accumulators: an expression takes seconds to compile and spills.
    if (shape.kind == KernelKind::persistent_gemm && !problem.epilogue.empty()) continue;
    // Products are a little faster over transposed weights, which have to be made first.
    const std::optional<KernelSpec> given = with_given_weight(problem, spec);
    if (given && std::find(specs.begin(), specs.end(), *given) == specs.end()) specs.push_back(*given);
    if (!rejection(spec) && std::find(specs.begin(), specs.end(), spec) == specs.end()) specs.push_back(spec);
  }
  if (gradient) {
    for (const KernelSpec& spec : resident_gradient_specs(problem, base)) {
      if (!rejection(spec)) specs.push_back(spec);
    }
  }
  if (specs.empty()) {
    throw std::logic_error("no kernel candidate is valid for " + to_string(base));
  }
  if (gradient) {
    constexpr std::size_t most_candidates = 20;
    sort_gradient_candidates(problem, specs);
    if (specs.size() > most_candidates) specs.resize(most_candidates);
  } else {
    prefer_full_devices(problem, specs);
  }
  return specs;
}

KernelSpec default_gemm(const GemmProblem& problem, OutputType output) {
  return gemm_candidates(problem, output).front();
}

int most_groups(int volume) noexcept { return volume <= 32 ? volume : 1; }

int default_groups(const GemmProblem& problem, const KernelSpec& spec) {
  constexpr int three_planes = 3;
  constexpr int fewest_row_bytes = 2048;       // below, adding sums costs what less waste gains
  constexpr std::int64_t fewest_rows = 8'000;  // below, each group has too few tiles to share out evenly
  constexpr std::int64_t most_rows = 40'000;   // above, one order leaves little waste
  const int row_bytes = problem.in_channels * storage_bytes(problem.compute);
  const bool pays = spec.kind == KernelKind::persistent_gemm && spec.output == OutputType::storage &&
                    row_bytes >= fewest_row_bytes && problem.rows >= fewest_rows && problem.rows <= most_rows;
  return pays && problem.volume >= 9 && most_groups(problem.volume) >= three_planes ? three_planes : 1;
}

int default_splits(const GemmProblem& problem, const KernelSpec& spec) {
  if (spec.kind == KernelKind::grad_weight || spec.kind == KernelKind::resident_grad_weight)
    return gradient_splits(problem, spec);
  constexpr std::int64_t few = 4;
  const std::int64_t blocks = std::max<std::int64_t>(1, blocks_of(problem, spec));
  const std::int64_t one_wave = std::int64_t{problem.multiprocessors} * spec.min_blocks / blocks;
  const std::int64_t two_waves = std::int64_t{2} * problem.multiprocessors * spec.min_blocks / blocks;
  if (spec.kind == KernelKind::persistent_gemm) {  // the more groups there are, the less waste they leave
    constexpr int most = 16;  // more partial sums than that take longer to add than they save
    return static_cast<int>(
        std::clamp<std::int64_t>(two_waves, 2, std::min(most, most_groups(problem.volume))));
  }
  // A second wave evens out tiles of different weight while its partial sums are few; past that they cost
  // more.
  return static_cast<int>(std::clamp<std::int64_t>(two_waves <= few ? two_waves : std::max(few, one_wave), 2,
                                                   most_splits(problem, spec)));
}

KernelSpec gather_rows_spec(const GemmProblem& problem) {
  KernelSpec spec = elementwise_spec(problem, KernelKind::gather_rows);
  const int alignment = std::min(problem.feats_alignment, problem.output_alignment);
  const int element = storage_bytes(problem.compute);
  spec.feats_vector_bytes = vector_bytes(std::int64_t{problem.in_channels} * element, alignment, element);
  spec.weight_vector_bytes = spec.feats_vector_bytes;
  spec.output_vector_bytes = spec.feats_vector_bytes;
  spec.out_channels = 1;
  spec.bias = BiasType::none;
  return spec;
}

KernelSpec reduce_gradient_spec(const GemmProblem& problem, int offsets, OutputType output) {
  KernelSpec spec = elementwise_spec(problem, KernelKind::reduce_gradient, output);
  spec.offsets = offsets;
  spec.feats_vector_bytes = spec.output_vector_bytes;
  spec.weight_vector_bytes = spec.output_vector_bytes;
  return spec;
}

KernelSpec reduce_partials_spec(const GemmProblem& problem) {
  KernelSpec spec = elementwise_spec(problem, KernelKind::reduce_partials);
  spec.in_channels = 1;
  spec.volume = 1;
  spec.feats_vector_bytes = spec.output_vector_bytes;
  spec.weight_vector_bytes = spec.output_vector_bytes;
  return spec;
}

KernelSpec transpose_weights_spec(const GemmProblem& problem, int weight_alignment) {
  GemmProblem layer = problem;
  std::swap(layer.in_channels, layer.out_channels);
  layer.feats_alignment = weight_alignment;
  layer.weight_alignment = weight_alignment;
  layer.output_alignment = 16;
  layer.bias = BiasType::none;
  return elementwise_spec(layer, KernelKind::transpose_weights);
}

}  // namespace flexgemm::codegen
