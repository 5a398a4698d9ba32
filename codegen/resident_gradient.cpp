#include "resident_gradient.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>

#include "resources.hpp"
#include "text.hpp"

namespace flexgemm::codegen {

namespace {

/// Blocks of the layout and of threads.
struct ResidentTile {
  int rows;
  int warpgroups;
  int stages;
  int min_blocks;
};

/// Two blocks of the layout in shared memory, or one and a second block of threads that multiplies meanwhile.
constexpr ResidentTile resident_tiles[] = {
    {256, 3, 2, 1}, {128, 3, 2, 1}, {256, 2, 2, 1}, {128, 2, 2, 1}, {256, 2, 1, 2}, {128, 2, 2, 2},
};

int column_tile(int out_channels) {
  const auto* width = std::find_if(std::begin(wgmma_widths), std::end(wgmma_widths),
                                   [&](int columns) { return columns >= out_channels; });
  return width == std::end(wgmma_widths) ? 0 : *width;
}

/// Groups of about one size, each as large as the registers of a block of threads allow.
int offsets_of(const KernelSpec& spec) {
  KernelSpec most = spec;
  most.offsets = spec.volume;
  while (most.offsets > 1 && estimated_registers(most) > available_registers(most, most.min_blocks))
    --most.offsets;
  return static_cast<int>(divide_up(spec.volume, offset_groups(most)));
}

}  // namespace

std::vector<KernelSpec> resident_gradient_specs(const GemmProblem& problem, const KernelSpec& base) {
  std::vector<KernelSpec> specs;
  constexpr int fewest_channels = 64;  // with fewer, offsets that share a block of M leave little out
  if (problem.in_channels < fewest_channels && !problem.unoffered) return specs;
  const bool served = problem.resident && problem.architecture.has_wgmma(problem.compute) &&
                      storage_bytes(problem.compute) == 2 && base.output == OutputType::partial &&
                      problem.volume > 1 && column_tile(problem.out_channels) != 0;
  if (!served) return specs;
  for (const ResidentTile& tile : resident_tiles) {
    KernelSpec spec = base;
    spec.kind = KernelKind::resident_grad_weight;
    spec.mma = MmaPath::wgmma;
    spec.row_tile = tile.rows;
    spec.column_tile = column_tile(problem.out_channels);
    spec.k_tile = 16;
    spec.stages = tile.stages;
    spec.warps_m = 4 * tile.warpgroups;
    spec.warps_n = 1;
    spec.min_blocks = tile.min_blocks;
    spec.offsets = offsets_of(spec);
    // On a surface a block's rows have about 1.5 times as many distinct inputs: with less room most blocks
    // would take several phases.
    if (resident_capacity(spec) >= tile.rows * 3 / 2) specs.push_back(spec);
  }
  return specs;
}

/// A product, 64 rows of M by 16 slots, costs what a multiprocessor's shared memory needs for its operands,
/// or its matrix unit: 16 cycles for the gathered operand, a quarter of a cycle a column for grad_out, 4
/// cycles for the places; half a cycle a column. A warpgroup waits for its products before it loads for the
/// next: three of them hide that. Rows reach shared memory once for each group of offsets. The share of
/// products that are left out and the distinct inputs of a block are those of a surface. All of it 1.3 times
/// and 15 microseconds, as measured on an H100 at C = 64: sphere 1024, 2.09 ms, a LiDAR scan, 0.082.
double resident_gradient_nanoseconds(const GemmProblem& problem, const KernelSpec& spec) {
  constexpr double clock = 1.7;  // GHz
  constexpr double bytes_a_nanosecond = 3500;
  const double rows = static_cast<double>(std::max<std::int64_t>(problem.rows, 1));
  const double pairs_per_row = problem.pairs_per_row > 0 ? problem.pairs_per_row : 0.5 * spec.volume;
  const double density = std::clamp(pairs_per_row / spec.volume, 0.01, 1.0);
  const double groups = offset_groups(spec);
  const double offsets_a_block = std::max(1.0, 64.0 / spec.in_channels);
  const double executed = std::min(1.0, std::pow(density, 0.8) * std::pow(offsets_a_block, 0.3));
  const double blocks = resident_sum_blocks(spec) * (spec.warps_m / 4) * groups;
  const double products = rows / 16 * blocks * executed;
  const double cycles = std::max(20.0 + spec.column_tile / 4.0, spec.column_tile / 2.0) + 6;
  const double waits = spec.min_blocks * spec.warps_m / 4 >= 3 ? 1.0 : 1.25;
  const double arithmetic = products * cycles * waits / (clock * problem.multiprocessors);
  const double inputs = std::min(1 + 0.04 * pairs_per_row * std::sqrt(256.0 / spec.row_tile), pairs_per_row);
  const double row_bytes =
      groups *
          ((spec.out_channels + inputs * spec.in_channels) * storage_bytes(spec.compute) + 4 * (1 + inputs)) +
      2.0 * spec.volume;
  const double traffic = rows * row_bytes / bytes_a_nanosecond;
  // With one stage nothing but another block of threads multiplies while rows arrive.
  const double exposed = spec.stages == 1 && spec.min_blocks == 1 ? 1.0 : 0.5;
  constexpr double measured = 1.3;
  constexpr double ends = 15'000;
  return measured * (std::max(arithmetic, traffic) + exposed * std::min(arithmetic, traffic)) + ends;
}

}  // namespace flexgemm::codegen
