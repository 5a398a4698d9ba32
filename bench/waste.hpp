#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <flexgemm/conv3d.hpp>
#include <flexgemm/neighbor_map.hpp>

namespace flexgemm::bench {

/// A neighbor map in host memory.
struct HostMap {
  std::vector<std::int32_t> indices;  ///< [rows, V]
  std::int64_t rows = 0;
  std::int64_t pairs = 0;
  Extent3 kernel;
  int volume() const noexcept { return kernel.x * kernel.y * kernel.z; }
};

/// Rows of the tile that a kernel spec's name states as "t<rows>x..."; none if it states none. For
/// persistent_gemm the 64 rows that it skips at once, and none where offsets may be cut into groups.
std::optional<int> row_tile_of(const std::string& kernel);

/// Multiply-accumulates that row tiles of this height execute over useful ones: the CUDA backend's own row
/// order for the masked algorithms (tiles visit the offsets in the OR of their rows' masks), every offset for
/// the others. Padding of channels is not counted. None for a map without pairs.
std::optional<double> waste_of(const HostMap& map, Algorithm algorithm, int row_tile);

}  // namespace flexgemm::bench
