#include "grad_weight_candidates.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

#include "architectures/tile_rules.hpp"
#include "emit.hpp"
#include "resident_gradient.hpp"
#include "resources.hpp"
#include "text.hpp"

namespace flexgemm::codegen {

namespace {

/// A tile of output channels times columns: input channels of one or of several kernel offsets.
struct GradientTile {
  int rows;
  int columns;
  int warps_m;
  int warps_n;
  int min_blocks;
  MmaPath mma = MmaPath::mma_sync;
  int stages = 0;  ///< 0: the architecture's own, with its pairs a stage
  int pairs = 0;
};

constexpr GradientTile mma_sync_tiles[] = {
    {128, 128, 2, 4, 2}, {128, 256, 2, 4, 1}, {64, 256, 2, 4, 2}, {64, 128, 2, 2, 3}, {128, 64, 4, 2, 3},
    {64, 64, 2, 2, 4},   {32, 256, 1, 8, 2},  {32, 128, 1, 4, 4}, {32, 64, 1, 4, 6},  {16, 256, 1, 8, 3},
    {16, 128, 1, 4, 6},  {16, 64, 1, 4, 8},   {64, 32, 4, 1, 5},  {32, 32, 2, 1, 8},  {64, 16, 4, 1, 6},
    {128, 16, 8, 1, 4},  {32, 16, 2, 1, 8},   {16, 32, 1, 2, 8},  {16, 16, 1, 1, 16}, {128, 32, 4, 1, 4},
};

constexpr GradientTile ffma_tiles[] = {
    {64, 64, 2, 2, 3},  {64, 128, 2, 4, 2}, {32, 128, 1, 4, 3}, {32, 64, 1, 4, 4},
    {16, 128, 1, 4, 4}, {16, 64, 1, 4, 6},  {64, 32, 4, 1, 4},  {32, 32, 2, 1, 6},
    {64, 16, 4, 1, 6},  {32, 16, 2, 1, 8},  {16, 32, 1, 2, 8},  {16, 16, 1, 1, 8},
};

constexpr GradientTile wgmma_tiles[] = {
    {128, 256, 8, 1, 1, MmaPath::wgmma, 4, 64}, {128, 256, 8, 2, 1, MmaPath::wgmma, 4, 64},
    {128, 256, 8, 2, 1, MmaPath::wgmma, 7, 32}, {128, 192, 8, 1, 1, MmaPath::wgmma, 4, 64},
    {128, 128, 8, 1, 2, MmaPath::wgmma, 3, 64}, {128, 128, 8, 1, 2, MmaPath::wgmma, 6, 32},
    {64, 512, 4, 4, 1, MmaPath::wgmma, 5, 32},  {64, 256, 4, 2, 2, MmaPath::wgmma, 4, 32},
    {64, 128, 4, 1, 4, MmaPath::wgmma, 4, 32},  {64, 64, 4, 1, 4, MmaPath::wgmma, 3, 64},
    {64, 64, 4, 1, 5, MmaPath::wgmma, 5, 32},   {128, 64, 8, 1, 3, MmaPath::wgmma, 3, 64},
};

constexpr GradientTile wgmma_tf32_tiles[] = {
    {128, 256, 8, 1, 1, MmaPath::wgmma, 3, 32}, {128, 128, 8, 1, 1, MmaPath::wgmma, 3, 32},
    {64, 256, 4, 2, 1, MmaPath::wgmma, 3, 32},  {64, 128, 4, 1, 2, MmaPath::wgmma, 3, 32},
    {64, 64, 4, 1, 4, MmaPath::wgmma, 3, 32},
};

/// The tile's columns as channels of offsets: all channels of as many offsets as fit, or a part of one.
TileShape shape_of(const GradientTile& tile, const GradientPipeline& pipeline, const GemmProblem& problem) {
  TileShape shape{
      .row_tile = tile.rows,
      .column_tile = std::min(tile.columns, problem.in_channels),
      .warps_m = tile.warps_m,
      .warps_n = tile.warps_n,
      .min_blocks = tile.min_blocks,
      .k_bytes = (tile.stages != 0 ? tile.pairs : pipeline.pairs) * storage_bytes(problem.compute),
      .stages = tile.stages != 0 ? tile.stages : pipeline.stages,
      .mma = has_matrix_path(problem) ? tile.mma : MmaPath::ffma,
      .offsets = 1};
  const int fitting = std::clamp(tile.columns / problem.in_channels, 1, problem.volume);
  const auto groups = static_cast<int>(divide_up(problem.volume, fitting));
  shape.offsets = static_cast<int>(divide_up(problem.volume, groups));  // groups of about one size
  return shape;
}

/// Not wider than all channels of all offsets need, rounded up to a power of two; not narrower than half of a
/// tile that the channels of one offset would fill.
bool columns_suit(const GradientTile& tile, const GemmProblem& problem) {
  const std::int64_t all = std::int64_t{problem.in_channels} * problem.volume;
  const auto covering =
      static_cast<int>(std::bit_ceil(static_cast<unsigned>(std::clamp<std::int64_t>(all, 16, 512))));
  const int least = problem.in_channels >= 256 ? 128 : problem.in_channels >= 64 ? 64 : 16;
  return tile.columns <= covering && tile.columns >= std::min(least, covering);
}

void append(std::vector<TileShape>& shapes, std::span<const GradientTile> tiles,
            const GradientPipeline& pipeline, const GemmProblem& problem) {
  for (const GradientTile& tile : tiles) {
    if (columns_fit(tile.rows, problem.out_channels) && columns_suit(tile, problem))
      shapes.push_back(shape_of(tile, pipeline, problem));
  }
}

/// What a kernel is expected to execute and to move, for all pairs.
struct Work {
  double entries = 0;  ///< lines of the pair lists, over all groups
  double nanoseconds = 0;
};

/// Rates of the whole device, fitted to times on an H100 and, of wgmma, on an H200, of use only against each
/// other: multiply-adds and bytes a nanosecond.
double multiply_adds(const KernelSpec& spec) {
  const double slower = spec.compute == ElementType::tf32 ? 0.4 : 1.0;
  switch (spec.mma) {
    case MmaPath::ffma:
      return 15e3;
    case MmaPath::mma_sync:
      return 175e3 * slower;
    case MmaPath::wgmma:
      return spec.compute == ElementType::tf32 ? 130e3 : 720e3;
  }
  return 1;
}
/// Blocks of one multiprocessor gather while others wait at a barrier.
double gathered_bytes(const KernelSpec& spec) {
  const bool is_wide = spec.mma == MmaPath::wgmma && spec.compute != ElementType::tf32;
  return (is_wide ? 8400 : 3500) * (spec.min_blocks == 1 ? 0.8 : spec.min_blocks == 2 ? 0.9 : 1.0);
}
/// How many times longer the list of a group of offsets is than that of one, if offsets are present in
/// `density` of the rows: neighboring ones are often present together. Counted on spheres (density
/// 0.47: 1.41, 1.84 and 2.05 for 2, 4 and 9 offsets) and a LiDAR scan (0.23: 1.59, 2.43 and 3.45), and met
/// within 15 percent.
double list_growth(int offsets, double density) {
  const double exponent = 0.5 + 0.72 * (0.47 - density) - 0.06 * (std::log2(offsets) - 1);
  return offsets == 1 ? 1 : std::pow(offsets, std::clamp(exponent, 0.2, 0.85));
}
constexpr double streamed_bytes = 2500;

Work expected_work(const GemmProblem& problem, const KernelSpec& spec) {
  const double rows = static_cast<double>(std::max<std::int64_t>(problem.rows, 1));
  if (spec.kind == KernelKind::resident_grad_weight)
    return {.entries = rows * offset_groups(spec),
            .nanoseconds = resident_gradient_nanoseconds(problem, spec)};
  const double pairs_per_row = problem.pairs_per_row > 0 ? problem.pairs_per_row : 0.5 * spec.volume;
  const double density = std::min(1.0, pairs_per_row / spec.volume);
  const double group_density = std::min(1.0, density * list_growth(spec.offsets, density));
  const double tiles = static_cast<double>(divide_up(spec.out_channels, spec.row_tile)) *
                       static_cast<double>(divide_up(spec.in_channels, spec.column_tile));
  Work work;
  work.entries = rows * group_density * offset_groups(spec);
  const double products = work.entries * tiles * spec.row_tile * gradient_columns(spec);
  const double present = density / group_density * spec.offsets * spec.column_tile;  // columns, of an entry
  const double bytes = work.entries * tiles *
                       ((spec.row_tile + present) * storage_bytes(spec.compute) + 8.0 * (1 + spec.offsets));
  // Half of the shorter of the two is seldom hidden behind the longer.
  const double arithmetic = products / multiply_adds(spec);
  const double traffic = bytes / gathered_bytes(spec);
  work.nanoseconds = std::max(arithmetic, traffic) + 0.5 * std::min(arithmetic, traffic);
  return work;
}

}  // namespace

std::vector<TileShape> gradient_shapes(const GemmProblem& problem) {
  const GradientPipeline pipeline = family_of(problem.architecture).gradient_pipeline;
  std::vector<TileShape> shapes;
  if (!has_matrix_path(problem)) {
    append(shapes, ffma_tiles, pipeline, problem);
    return shapes;
  }
  append(shapes, mma_sync_tiles, pipeline, problem);
  if (problem.architecture.has_wgmma(problem.compute)) {
    const bool is_tf32 = problem.compute == ElementType::tf32;
    append(shapes, is_tf32 ? std::span<const GradientTile>(wgmma_tf32_tiles) : wgmma_tiles, pipeline,
           problem);
  }
  return shapes;
}

void sort_gradient_candidates(const GemmProblem& problem, std::vector<KernelSpec>& specs) {
  std::stable_sort(specs.begin(), specs.end(), [&](const KernelSpec& first, const KernelSpec& second) {
    return expected_work(problem, first).nanoseconds < expected_work(problem, second).nanoseconds;
  });
}

double gradient_nanoseconds(const GemmProblem& problem, const KernelSpec& spec, int splits) {
  const LaunchShape shape = launch_shape(spec);
  const double tiles = static_cast<double>(shape.tiles);
  const double groups = shape.groups;
  const double slots = static_cast<double>(problem.multiprocessors) * spec.min_blocks;
  const double gradient_bytes =
      4.0 * spec.volume * static_cast<double>(spec.in_channels) * static_cast<double>(spec.out_channels);
  const bool cut = spec.kind == KernelKind::grad_weight;
  const double shares = splits == 1 ? groups : gradient_shares(spec, splits, problem.multiprocessors);
  const double parts = splits == 1 || !cut ? shares : shares + groups - 1;
  const double rounds = tiles * shares / slots;
  // The last round is not full. Whole groups differ in length, the longest come first, and whoever is done
  // takes the next: what is left of the difference falls with the rounds. Shares are even, but
  // multiprocessors are not.
  const double idle = std::ceil(rounds) / rounds;
  const double uneven = splits == 1 ? std::pow(std::max(rounds, 1.0), -2) : cut ? 0.08 : 0.5 * groups / parts;
  const double partials = splits == 1 ? 0 : 2 * gradient_bytes * parts / groups / streamed_bytes + 3000;
  return expected_work(problem, spec).nanoseconds * idle * (1 + uneven) + partials;
}

bool gradient_splits_suit(const GemmProblem& problem, const KernelSpec& spec, int splits) {
  constexpr double least_pairs = 512;  // of a part
  constexpr double most_partial_bytes = 256.0 * 1024 * 1024;
  const double gradient_bytes =
      4.0 * spec.volume * static_cast<double>(spec.in_channels) * static_cast<double>(spec.out_channels);
  const double pairs = expected_work(problem, spec).entries / offset_groups(spec) / splits;
  return splits == 1 || (pairs >= least_pairs && gradient_bytes * splits <= most_partial_bytes);
}

int gradient_splits(const GemmProblem& problem, const KernelSpec& spec) {
  int best = 1;
  double best_time = gradient_nanoseconds(problem, spec, 1);
  for (int splits = 2; splits <= most_gradient_splits && gradient_splits_suit(problem, spec, splits);
       ++splits) {
    const double time = gradient_nanoseconds(problem, spec, splits);
    if (time < best_time) {
      best = splits;
      best_time = time;
    }
  }
  return best;
}

int gradient_shares(const KernelSpec& spec, int splits, int multiprocessors) {
  const LaunchShape shape = launch_shape(spec);
  const std::int64_t parts = std::int64_t{splits} * shape.groups;
  const std::int64_t slots = std::int64_t{multiprocessors} * spec.min_blocks;
  if (spec.kind == KernelKind::grad_weight)
    return static_cast<int>(std::clamp<std::int64_t>(slots / shape.tiles, 1, parts));
  const std::int64_t rounds = parts * shape.tiles / slots;
  if (splits == 1 || rounds == 0) return static_cast<int>(parts);
  return static_cast<int>(std::clamp<std::int64_t>(rounds * slots / shape.tiles, shape.groups, parts));
}

}  // namespace flexgemm::codegen
