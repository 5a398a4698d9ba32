#include "architectures/tile_rules.hpp"

#include <algorithm>
#include <bit>

namespace flexgemm::codegen {

bool has_matrix_path(const GemmProblem& problem) noexcept {
  return problem.architecture.has_mma_sync(problem.compute);
}

bool columns_fit(int column_tile, int out_channels) noexcept {
  const int covering =
      static_cast<int>(std::bit_ceil(static_cast<unsigned>(std::clamp(out_channels, 16, 256))));
  const int narrowest_share = covering > 64 ? 4 : 2;
  return column_tile <= covering && column_tile * narrowest_share >= covering;
}

std::vector<BlockTile> fitting_tiles(std::span<const BlockTile> tiles, int out_channels) {
  std::vector<BlockTile> fitting;
  for (const BlockTile& tile : tiles) {
    if (columns_fit(tile.column_tile, out_channels)) fitting.push_back(tile);
  }
  return fitting;
}

std::vector<TileShape> combine(std::span<const BlockTile> tiles, std::span<const Pipeline> pipelines,
                               const GemmProblem& problem) {
  const std::int64_t reduction_bytes =
      std::int64_t{problem.volume} * problem.in_channels * storage_bytes(problem.compute);
  // Rows of an odd number of 2-byte elements are staged in registers, one element each.
  const bool loads_single_halves = problem.in_channels * storage_bytes(problem.compute) % 4 != 0;
  std::vector<TileShape> shapes;
  for (const Pipeline& pipeline : pipelines) {
    if (pipeline.k_bytes > 64 && (loads_single_halves || pipeline.k_bytes >= 2 * reduction_bytes)) continue;
    for (const BlockTile& tile : tiles) {
      shapes.push_back({.row_tile = tile.row_tile,
                        .column_tile = tile.column_tile,
                        .warps_m = tile.warps_m,
                        .warps_n = tile.warps_n,
                        .min_blocks = tile.min_blocks,
                        .k_bytes = pipeline.k_bytes,
                        .stages = pipeline.stages,
                        .mma = has_matrix_path(problem) ? tile.mma : MmaPath::ffma});
    }
  }
  return shapes;
}

std::vector<TileShape> mma_sync_shapes(const GemmProblem& problem, std::span<const Pipeline> pipelines) {
  static constexpr BlockTile narrow[] = {
      {128, 64, 4, 1, 4}, {64, 64, 2, 2, 4},  {128, 64, 4, 2, 2}, {32, 64, 2, 2, 4},
      {128, 32, 4, 1, 4}, {64, 32, 4, 1, 4},  {256, 32, 8, 1, 2}, {32, 32, 2, 1, 8},
      {64, 16, 4, 1, 4},  {128, 16, 4, 1, 4}, {256, 16, 8, 1, 2}, {32, 16, 2, 1, 8},
  };
  static constexpr BlockTile wide[] = {
      {128, 128, 2, 2, 2}, {128, 256, 2, 4, 1}, {64, 128, 2, 2, 3},
      {128, 64, 4, 2, 2},  {64, 64, 2, 2, 4},   {32, 128, 2, 2, 4},
  };
  const bool is_narrow = problem.out_channels <= 64;
  return combine(fitting_tiles(is_narrow ? std::span<const BlockTile>(narrow) : wide, problem.out_channels),
                 pipelines, problem);
}

std::vector<TileShape> ffma_shapes(const GemmProblem& problem) {
  static constexpr BlockTile tiles[] = {
      {64, 64, 2, 2, 4},   {128, 64, 4, 2, 2}, {32, 64, 2, 2, 4},  {64, 128, 2, 4, 2},
      {128, 128, 4, 2, 1}, {64, 32, 4, 1, 4},  {128, 32, 4, 1, 4}, {32, 32, 2, 1, 6},
      {64, 16, 4, 1, 4},   {128, 16, 4, 1, 4}, {32, 16, 2, 1, 8},
  };
  static constexpr Pipeline async[] = {{64, 3}, {128, 2}};
  static constexpr Pipeline through_registers[] = {{64, 2}, {128, 2}};
  const bool has_async = problem.architecture.has_cp_async();
  return combine(fitting_tiles(tiles, problem.out_channels),
                 has_async ? std::span<const Pipeline>(async) : std::span<const Pipeline>(through_registers),
                 problem);
}

}  // namespace flexgemm::codegen
