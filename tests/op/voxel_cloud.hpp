#pragma once

#include <cstdint>
#include <vector>

#include <flexgemm/flexgemm.hpp>

namespace flexgemm::op_test {

/// Voxels for a map: int32 [rows, 4], all different, in random order.
struct VoxelCloud {
  std::vector<std::int32_t> coords;
  Grid grid;
};

/// Wavy sheets with ledges, as scanned surfaces are: about nine neighbors in a 3x3x3 kernel. `huge_grid` puts
/// them into the far corner of a grid of more than 2^64 cells.
VoxelCloud voxel_cloud(std::int64_t rows, int batch, bool huge_grid, std::uint64_t seed);

}  // namespace flexgemm::op_test
