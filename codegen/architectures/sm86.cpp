#include "tile_rules.hpp"

// Ampere and Ada with 99 KiB of shared memory a block: mma.sync and cp.async, shallower pipelines.

namespace flexgemm::codegen {

namespace {

constexpr ArchitectureLimits members[] = {
    {86, 99, 100, 1, 1536},
    {89, 99, 100, 1, 1536},
};

std::vector<TileShape> tile_shapes(const GemmProblem& problem) {
  static constexpr Pipeline pipelines[] = {{64, 3}, {128, 2}};
  return has_matrix_path(problem) ? mma_sync_shapes(problem, pipelines) : ffma_shapes(problem);
}

}  // namespace

const ArchitectureFamily& architecture_family_sm86() {
  static constexpr ArchitectureFamily family{members, tile_shapes, {32, 3}};
  return family;
}

}  // namespace flexgemm::codegen
