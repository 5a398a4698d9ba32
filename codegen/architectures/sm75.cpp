#include "tile_rules.hpp"

// Turing: mma.sync for f16 alone, tiles pass through registers on their way to 64 KiB of shared memory, so
// blocks stay small and two stages deep.

namespace flexgemm::codegen {

namespace {

constexpr ArchitectureLimits members[] = {
    {75, 64, 64, 0, 1024},
};

std::vector<TileShape> tile_shapes(const GemmProblem& problem) {
  if (!has_matrix_path(problem)) return ffma_shapes(problem);
  static constexpr BlockTile narrow[] = {
      {64, 64, 2, 2, 3}, {128, 64, 4, 2, 2}, {64, 32, 4, 1, 4}, {128, 32, 4, 1, 3},
      {64, 16, 4, 1, 4}, {128, 16, 4, 1, 4}, {32, 64, 2, 2, 4}, {32, 32, 2, 1, 8},
  };
  static constexpr BlockTile wide[] = {
      {128, 128, 4, 2, 1}, {64, 128, 2, 2, 2}, {128, 64, 4, 2, 2}, {64, 64, 2, 2, 3},
      {32, 128, 2, 2, 3},  {64, 256, 2, 4, 1}, {128, 32, 4, 1, 3}, {64, 32, 4, 1, 4},
  };
  static constexpr Pipeline pipelines[] = {{64, 2}, {128, 2}};
  const bool is_narrow = problem.out_channels <= 64;
  return combine(fitting_tiles(is_narrow ? std::span<const BlockTile>(narrow) : wide, problem.out_channels),
                 pipelines, problem);
}

}  // namespace

const ArchitectureFamily& architecture_family_sm75() {
  static constexpr ArchitectureFamily family{members, tile_shapes, {32, 2}};
  return family;
}

}  // namespace flexgemm::codegen
