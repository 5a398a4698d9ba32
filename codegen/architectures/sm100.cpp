#include "tile_rules.hpp"

// Blackwell of the data center, and Thor: the mma.sync path.

namespace flexgemm::codegen {

namespace {

constexpr ArchitectureLimits members[] = {
    {100, 227, 228, 1, 2048},
    {103, 227, 228, 1, 2048},
    {110, 227, 228, 1, 1536},
};

std::vector<TileShape> tile_shapes(const GemmProblem& problem) {
  static constexpr Pipeline pipelines[] = {{64, 4}, {128, 3}};
  return has_matrix_path(problem) ? mma_sync_shapes(problem, pipelines) : ffma_shapes(problem);
}

}  // namespace

const ArchitectureFamily& architecture_family_sm100() {
  static constexpr ArchitectureFamily family{members, tile_shapes};
  return family;
}

}  // namespace flexgemm::codegen
