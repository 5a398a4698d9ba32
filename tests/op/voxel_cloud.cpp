#include "op/voxel_cloud.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "op/random.hpp"

namespace flexgemm::op_test {

VoxelCloud voxel_cloud(std::int64_t rows, int batch, bool huge_grid, std::uint64_t seed) {
  RandomSequence random(seed);
  const auto side =
      static_cast<std::int32_t>(std::ceil(std::sqrt(1.1 * static_cast<double>(rows) / batch))) + 2;
  constexpr std::int32_t height = 24;
  std::vector<std::array<std::int32_t, 4>> voxels;
  const auto enough = [&] { return static_cast<std::int64_t>(voxels.size()) >= rows; };
  // Sheet by sheet, one above the other, until there are enough; nothing is ever put into a cell twice.
  for (std::int32_t sheet = 0; !enough(); ++sheet) {
    for (std::int32_t x = 0; x < side && !enough(); ++x) {
      for (std::int32_t y = 0; y < side && !enough(); ++y) {
        for (std::int32_t b = 0; b < batch && !enough(); ++b) {
          if (random.below(10) == 0) continue;  // a hole
          const double wave = 5.0 + 4.0 * std::sin(0.11 * x + b) * std::cos(0.07 * y - b);
          const auto base = static_cast<std::int32_t>(wave) + sheet * height;
          const bool ledge = random.below(12) == 0;
          const auto top = base + static_cast<std::int32_t>(ledge ? random.below(10) : 0);
          for (std::int32_t z = base; z <= top && !enough(); ++z) voxels.push_back({b, x, y, z});
        }
      }
    }
  }
  for (std::size_t i = voxels.size(); i > 1; --i) {
    std::swap(voxels[i - 1], voxels[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(i)))]);
  }

  constexpr std::int32_t most = std::numeric_limits<std::int32_t>::max();
  VoxelCloud cloud;
  std::int32_t depth = 1;
  for (const auto& voxel : voxels) depth = std::max(depth, voxel[3] + 1);
  cloud.grid = huge_grid ? Grid{batch, most, most, most} : Grid{batch, side, side, depth};
  const std::array<std::int32_t, 4> shift{0, cloud.grid.x - side, cloud.grid.y - side, cloud.grid.z - depth};
  cloud.coords.reserve(voxels.size() * 4);
  for (const auto& voxel : voxels) {
    for (std::size_t axis = 0; axis < 4; ++axis) cloud.coords.push_back(voxel[axis] + shift[axis]);
  }
  return cloud;
}

}  // namespace flexgemm::op_test
