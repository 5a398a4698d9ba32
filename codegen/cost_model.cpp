#include "cost_model.hpp"

#include <algorithm>
#include <cmath>

#include "emit.hpp"
#include "resources.hpp"
#include "text.hpp"

namespace flexgemm::codegen {

namespace {

/// The work of the GEMM kernel of a plan, in the units that its blocks do it in.
struct GemmWork {
  double row_tiles = 0;
  double column_tiles = 0;
  double k_tiles = 0;        ///< of one column of tiles, over all row tiles
  double heaviest_tile = 0;  ///< K tiles of the row tile that has most
  double blocks = 0;
  double steps = 0;
};

double pairs_per_row(const MapStatistics& map) {
  if (map.rows == 0) return 1;
  if (map.pairs <= 0) return map.volume;
  return std::clamp(static_cast<double>(map.pairs) / static_cast<double>(map.rows), 1.0,
                    static_cast<double>(map.volume));
}

/// Steps a tile when nothing was counted. A row alone visits its own offsets, a tile the union of its rows',
/// which mask order keeps small where rows are many. Fitted to the counts of the eight spheres and of two
/// LiDAR scans (190 to 4 million rows, 4 to 13 pairs a row), which it meets within 17 percent.
double estimated_steps_per_tile(const MapStatistics& map, int row_tile) {
  const double own = pairs_per_row(map);
  const double rows = std::log2(std::max<double>(static_cast<double>(map.rows), 1));
  const double spread =
      1.0 - 0.0653 * rows + 0.0721 * std::log2(row_tile) + 0.0151 * std::log2(map.volume / own);
  return own * std::pow(map.volume / own, std::clamp(spread, 0.02, 1.0));
}

GemmWork work_of(const MapStatistics& map, const PassPlan& plan) {
  const KernelSpec& spec = plan.spec;
  GemmWork work;
  work.row_tiles = static_cast<double>(divide_up(std::max<std::int64_t>(map.rows, 1), spec.row_tile));
  work.column_tiles = static_cast<double>(divide_up(spec.out_channels, spec.column_tile));
  const double k_tiles_a_step = static_cast<double>(spec.in_channels) / spec.k_tile;
  const double most_steps = plan.walk == RowWalk::gathered ? 1 : map.volume;
  work.steps = plan.walk == RowWalk::masked ? masked_steps(map, spec.row_tile) : work.row_tiles * most_steps;
  // A tile's last K tile is half empty on average unless steps are whole K tiles.
  const double ragged = spec.in_channels % spec.k_tile == 0 ? 0 : 0.5;
  work.k_tiles = work.steps * k_tiles_a_step + ragged * work.row_tiles;
  const double mean_steps = work.steps / work.row_tiles;
  const double heavy_steps =
      plan.walk == RowWalk::masked ? std::min(most_steps, 0.5 * (most_steps + mean_steps)) : most_steps;
  work.heaviest_tile = (heavy_steps * k_tiles_a_step + ragged) / plan.splits;
  work.blocks = work.row_tiles * work.column_tiles * plan.splits;
  return work;
}

/// Limits joined: the largest one, and some of the others.
double join(double overlap, std::initializer_list<double> limits) {
  double sum = 0;
  for (const double limit : limits) sum += std::pow(limit, overlap);
  return std::pow(sum, 1 / overlap);
}

/// Nanoseconds that a multiprocessor needs for one K tile of one block when `resident` blocks share it.
double k_tile_ns(const KernelSpec& spec, double resident, const CostConstants& constants) {
  const double element = storage_bytes(spec.compute);
  const double k_bytes = spec.k_tile * element;
  const double flops = 2.0 * spec.row_tile * spec.column_tile * spec.k_tile;
  double rate = spec.mma == MmaPath::ffma ? constants.ffma_flops_per_ns : constants.matrix_flops_per_ns;
  if (spec.mma != MmaPath::ffma && element > 2) rate /= 2;
  if (spec.mma == MmaPath::mma_sync) rate *= constants.mma_sync_share;
  const double matrix = flops / rate;
  const double l2 = (spec.row_tile + spec.column_tile) * k_bytes / constants.l2_bytes_per_ns;
  const double copies = spec.row_tile * k_bytes / spec.feats_vector_bytes +
                        spec.column_tile * k_bytes / spec.weight_vector_bytes;
  double issue = copies / 32 * constants.copy_issue_ns;
  if (spec.mma != MmaPath::wgmma) {  // operands go through registers: every warp reads its rows and columns
    const double warp_rows = static_cast<double>(spec.row_tile) / spec.warps_m;
    const double warp_columns = static_cast<double>(spec.column_tile) / spec.warps_n;
    const double read = spec.warps_m * spec.warps_n * (warp_rows + warp_columns) * k_bytes;
    issue += read / 512 * constants.fragment_issue_ns;
  }
  const double throughput = join(constants.overlap, {matrix, l2, issue});
  // What hides a K tile's latency: other blocks, and the tiles under way (wgmma keeps one stage for itself).
  const double warps = resident * spec.warps_m * spec.warps_n;
  const double ahead = uses_async_copy(spec) ? spec.stages - (spec.mma == MmaPath::wgmma ? 2 : 1) : 1;
  const double hidden = std::pow(std::max(1.0, warps / 4 * ahead / 2), constants.warp_hiding);
  const double latency = constants.k_tile_ns / (resident * hidden);
  return throughput + latency;
}

double transfer_ns(double bytes, const CostConstants& constants) {
  return bytes /
         (bytes < constants.cache_bytes ? constants.cached_bytes_per_ns : constants.memory_bytes_per_ns);
}

/// The GEMM kernel: throughput of full multiprocessors, the heaviest block alone, and least bytes.
double gemm_ns(const GemmProblem& problem, const MapStatistics& map, const PassPlan& plan,
               const CostConstants& constants) {
  const KernelSpec& spec = plan.spec;
  const GemmWork work = work_of(map, plan);
  const double multiprocessors = problem.multiprocessors;
  const double blocks_each = work.blocks / multiprocessors;
  const double resident = std::min<double>(resident_blocks(spec), std::max(1.0, std::ceil(blocks_each)));
  const double mean_block = work.k_tiles * work.column_tiles / work.blocks;
  // While all blocks fit at once the fullest multiprocessor decides; later, blocks follow each other and only
  // the end is uneven.
  const double rounds =
      blocks_each <= resident ? std::ceil(blocks_each) : blocks_each + constants.tail_blocks;
  const double ns_each = k_tile_ns(spec, resident, constants);
  // Start and end of a block: others on the multiprocessor work meanwhile, if there are any.
  const double ends = constants.block_ns + constants.result_ns * spec.row_tile * spec.column_tile / 1024;
  const double busy = rounds * (mean_block * ns_each + ends / resident);
  const double alone = work.heaviest_tile * k_tile_ns(spec, 1, constants) + ends;
  const double element = storage_bytes(spec.compute);
  const double output_bytes = static_cast<double>(map.rows) * spec.out_channels *
                              (spec.output == OutputType::partial ? 4.0 * plan.splits : element);
  const double input_bytes = static_cast<double>(map.rows) * spec.in_channels * element;
  const double weight_bytes =
      static_cast<double>(spec.out_channels) * spec.volume * spec.in_channels * element;
  const double step_bytes = work.steps * spec.row_tile * 4;
  const double memory =
      (output_bytes + input_bytes + weight_bytes + step_bytes) / constants.memory_bytes_per_ns;
  return std::max(join(constants.overlap, {busy, memory}), alone);
}

/// Of V offsets those that 64 rows of a block of the resident layout visit: the rows are near each other
/// rather than alike. Counted on spheres (12.8 pairs a row) and a LiDAR scan (6.3): 0.68 and 0.76 in blocks
/// of 256, less in larger ones.
double resident_steps(const MapStatistics& map, int block_rows) {
  const double share = 0.72 * std::pow(256.0 / block_rows, 0.1);
  return std::clamp(share * map.volume, pairs_per_row(map), static_cast<double>(map.volume));
}

/// resident_gemm: both operands of 64 rows and an offset pass through a multiprocessor's shared memory, and
/// little else costs. A gathered row takes 2.4 times its share of the banks' time (docs/performance.md).
/// Fitted to f16 on an H100: sphere 1024 of 64 channels, a LiDAR scan of 16, 32 and 64.
double resident_ns(const GemmProblem& problem, const MapStatistics& map, const PassPlan& plan,
                   const CostConstants& constants) {
  constexpr double cycles_per_ns = 1.5;  // of the banks, as far as they can be kept busy
  constexpr double gather_cycles = 64 * 2.4;
  constexpr double block_cycles = 4000;  // until a block's inputs are there: three latencies and the copy
  constexpr double step_cycles = 80;     // barrier and latencies that other warpgroups do not cover
  const KernelSpec& spec = plan.spec;
  const double element = storage_bytes(spec.compute);
  const double row_bytes = spec.in_channels * element;
  const double row_blocks = spec.row_tile / 64.0;
  const double blocks = std::ceil(static_cast<double>(map.rows) / spec.row_tile);
  const double steps = resident_steps(map, spec.row_tile);
  const double block = steps *
                       (row_blocks * (gather_cycles + spec.column_tile) * row_bytes / 128 + step_cycles) /
                       cycles_per_ns;
  const double resident = spec.min_blocks;
  const double each = blocks / problem.multiprocessors;
  const double rounds = each <= resident ? std::ceil(each) : each + 0.5;
  const double busy = rounds * (block + block_cycles / cycles_per_ns / resident);
  const double alone = block + block_cycles / cycles_per_ns;
  const double layout_bytes = 2.0 * map.volume + 12;
  const double memory = static_cast<double>(map.rows) *
                        (1.6 * row_bytes + spec.out_channels * element + layout_bytes) /
                        constants.memory_bytes_per_ns;
  return std::max(join(constants.overlap, {busy, memory}), alone);
}

/// What row orders of their own for groups of offsets make of a pass's time, the sums apart: the less waste
/// the more groups there are (sphere 16 and 32 of 1024 channels, H100).
double grouped_share(int groups) {
  if (groups <= 2) return 1;
  return groups == 3 ? 0.86 : groups < 6 ? 0.81 : groups < 9 ? 0.75 : 0.72;
}

/// What specialized warpgroups and claimed tiles make of the same tile's time (an H200, docs/performance.md),
/// and row orders of groups of offsets. Products over MN-major weights are a little slower.
double persistent_share(const MapStatistics& map, const PassPlan& plan) {
  const KernelSpec& spec = plan.spec;
  if (spec.kind != KernelKind::persistent_gemm) return 1;
  double share = 1.4;  // tiles that no architecture offers
  if (spec.column_tile == 256 && spec.row_tile == 128)
    share = spec.in_channels * storage_bytes(spec.compute) < 512 ? 0.9 : 0.82;
  if (spec.column_tile == 128 && spec.row_tile == 192) share = 0.82;
  constexpr std::int64_t many_rows = 1'000'000;  // from here on three stages were faster
  if (spec.column_tile == 64) share = spec.stages == 3 && map.rows >= many_rows ? 0.76 : 0.85;
  constexpr double mn_major_products = 1.06;
  if (spec.weight_major == WeightMajor::mn) share *= mn_major_products;
  constexpr double chained_groups = 0.96;  // three of them, which wait for each other
  return share * (spec.output == OutputType::chained ? chained_groups : grouped_share(plan.splits));
}

/// Of the weights of grad_input, for kernels that do not read them as they are given.
double transpose_ns(const GemmProblem& problem, const PassPlan& plan, const CostConstants& constants) {
  if (problem.given_weight_alignment == 0 || plan.spec.weight_major == WeightMajor::mn) return 0;
  const double bytes = 2.0 * problem.volume * problem.in_channels * problem.out_channels *
                       storage_bytes(problem.compute);  // read and written
  return constants.launch_ns + transfer_ns(bytes, constants);
}

}  // namespace

double masked_steps(const MapStatistics& map, int row_tile) {
  const auto& heights = MapStatistics::heights;
  int below = -1;
  int above = -1;
  for (int i = 0; i < static_cast<int>(heights.size()); ++i) {
    if (map.steps[i] <= 0) continue;
    if (heights[i] == row_tile) return static_cast<double>(map.steps[i]);
    if (heights[i] < row_tile) below = i;
    if (heights[i] > row_tile && above < 0) above = i;
  }
  const auto tiles = [&](int height) { return std::ceil(static_cast<double>(map.rows) / height); };
  const auto per_tile = [&](int i) { return static_cast<double>(map.steps[i]) / tiles(heights[i]); };
  double steps = estimated_steps_per_tile(map, row_tile);
  if (below >= 0 && above >= 0) {
    const double share = std::log2(static_cast<double>(row_tile) / heights[below]) /
                         std::log2(static_cast<double>(heights[above]) / heights[below]);
    steps = std::exp2((1 - share) * std::log2(per_tile(below)) + share * std::log2(per_tile(above)));
  } else if (below >= 0 || above >= 0) {
    // The estimate's shape, at the level of what was counted.
    const int known = std::max(below, above);
    steps *= per_tile(known) / estimated_steps_per_tile(map, heights[known]);
  }
  return tiles(row_tile) * std::clamp(steps, 1.0, static_cast<double>(map.volume));
}

double predicted_ms(const GemmProblem& problem, const MapStatistics& map, const PassPlan& plan,
                    const CostConstants& constants) {
  const double transpose = transpose_ns(problem, plan, constants);
  if (plan.spec.kind == KernelKind::resident_gemm)
    return (constants.launch_ns + resident_ns(problem, map, plan, constants) + transpose) * 1e-6;
  double ns =
      constants.launch_ns + gemm_ns(problem, map, plan, constants) * persistent_share(map, plan) + transpose;
  const double element = storage_bytes(problem.compute);
  const double rows = static_cast<double>(map.rows);
  if (plan.spec.output == OutputType::partial) {
    const double partial_bytes = rows * problem.out_channels * 4.0 * plan.splits;
    ns += constants.launch_ns + transfer_ns(partial_bytes, constants) +
          transfer_ns(rows * problem.out_channels * element, constants);
  }
  if (plan.walk == RowWalk::gathered) {
    const double gathered_bytes = rows * problem.volume * problem.in_channels * element;
    ns += constants.launch_ns + gathered_bytes / constants.memory_bytes_per_ns +
          transfer_ns(static_cast<double>(map.pairs) * problem.in_channels * element, constants);
  }
  return ns * 1e-6;
}

double predicted_ms(const GemmProblem& problem, const MapStatistics& map, const PassPlan& plan) {
  return predicted_ms(problem, map, plan, cost_constants(problem.architecture));
}

}  // namespace flexgemm::codegen
