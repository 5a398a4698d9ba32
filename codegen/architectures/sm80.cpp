#include "tile_rules.hpp"

// Ampere with a large shared memory: mma.sync and cp.async, pipelines four deep.

namespace flexgemm::codegen {

namespace {

constexpr ArchitectureLimits members[] = {
    {80, 163, 164, 1, 2048},
    {87, 163, 164, 1, 1536},
};

std::vector<TileShape> tile_shapes(const GemmProblem& problem) {
  if (!has_matrix_path(problem)) return ffma_shapes(problem);
  static constexpr BlockTile narrow[] = {
      {128, 64, 4, 2, 2}, {64, 64, 2, 2, 4},  {128, 64, 4, 1, 3}, {256, 64, 8, 1, 1}, {32, 64, 2, 2, 4},
      {128, 32, 4, 1, 4}, {64, 32, 4, 1, 4},  {256, 32, 8, 1, 2}, {32, 32, 2, 1, 8},  {128, 16, 4, 1, 4},
      {64, 16, 4, 1, 4},  {256, 16, 8, 1, 2}, {32, 16, 2, 1, 8},
  };
  static constexpr BlockTile wide[] = {
      {128, 128, 4, 2, 2}, {128, 128, 2, 2, 2}, {128, 256, 2, 4, 1}, {64, 128, 2, 2, 3}, {256, 128, 4, 2, 1},
      {64, 256, 2, 4, 2},  {128, 64, 4, 2, 2},  {64, 64, 2, 2, 4},   {32, 128, 2, 2, 4},
  };
  static constexpr Pipeline narrow_pipelines[] = {{64, 4}, {128, 3}};
  static constexpr Pipeline wide_pipelines[] = {{64, 4}, {128, 3}};
  const bool is_narrow = problem.out_channels <= 64;
  return combine(fitting_tiles(is_narrow ? std::span<const BlockTile>(narrow) : wide, problem.out_channels),
                 is_narrow ? std::span<const Pipeline>(narrow_pipelines) : wide_pipelines, problem);
}

}  // namespace

const ArchitectureFamily& architecture_family_sm80() {
  static constexpr ArchitectureFamily family{members, tile_shapes};
  return family;
}

}  // namespace flexgemm::codegen
