#include "tile_rules.hpp"

// Ampere with a large shared memory: mma.sync and cp.async, pipelines four deep.

namespace flexgemm::codegen {

namespace {

constexpr ArchitectureLimits members[] = {
    {80, 163, 164, 1, 2048},
    {87, 163, 164, 1, 1536},
};

std::vector<TileShape> tile_shapes(const GemmProblem& problem) {
  static constexpr Pipeline pipelines[] = {{64, 4}, {128, 3}};
  return has_matrix_path(problem) ? mma_sync_shapes(problem, pipelines) : ffma_shapes(problem);
}

}  // namespace

const ArchitectureFamily& architecture_family_sm80() {
  static constexpr ArchitectureFamily family{members, tile_shapes};
  return family;
}

}  // namespace flexgemm::codegen
