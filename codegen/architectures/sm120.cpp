#include "tile_rules.hpp"

// Blackwell of workstations: mma.sync and cp.async within 99 KiB of shared memory a block.

namespace flexgemm::codegen {

namespace {

constexpr ArchitectureLimits members[] = {
    {120, 99, 100, 1, 1536},
    {121, 99, 100, 1, 1536},
};

std::vector<TileShape> tile_shapes(const GemmProblem& problem) {
  static constexpr Pipeline pipelines[] = {{64, 3}, {128, 2}};
  return has_matrix_path(problem) ? mma_sync_shapes(problem, pipelines) : ffma_shapes(problem);
}

}  // namespace

const ArchitectureFamily& architecture_family_sm120() {
  static constexpr ArchitectureFamily family{members, tile_shapes, {32, 3}};
  return family;
}

}  // namespace flexgemm::codegen
