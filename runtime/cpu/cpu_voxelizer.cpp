#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "cpu/cpu_frames.hpp"
#include "cpu/storage.hpp"

namespace flexgemm::detail {

namespace {

class CpuVoxelizer final : public VoxelizerData {
 public:
  using VoxelizerData::VoxelizerData;

  void run(const VoxelizerArguments& arguments, Stream) const override {
    const std::int64_t given = std::max<std::int64_t>(*arguments.point_count, 0);
    const std::int64_t points = std::min(given, options.max_points);
    order_.clear();
    for (std::int64_t i = 0; i < points; ++i) {
      std::uint64_t cell = 0;
      if (find_cell(arguments.points + i * options.columns, cell)) order_.push_back({cell, i});
    }
    std::sort(order_.begin(), order_.end());  // by cell, then by point
    std::int64_t voxels = 0;
    for (std::size_t begin = 0; begin < order_.size(); ++voxels) {
      std::size_t end = begin;
      while (end < order_.size() && order_[end].first == order_[begin].first) ++end;
      if (voxels < options.max_voxels) write_voxel(arguments, voxels, begin, end);
      begin = end;
    }
    *arguments.voxel_count = static_cast<std::int32_t>(voxels);
    overflowed_ = overflowed_ || given > points || voxels > options.max_voxels;
  }
  bool overflowed(Stream) const override { return overflowed_; }
  void reset(Stream) const override { overflowed_ = false; }

 private:
  /// False for a point that is dropped.
  bool find_cell(const float* point, std::uint64_t& cell) const {
    for (int column = 0; column < options.columns; ++column) {
      if (!std::isfinite(point[column])) return false;
    }
    const std::array<std::int32_t, 3> extents{options.grid.x, options.grid.y, options.grid.z};
    cell = 0;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const float low = options.low[axis];
      const float size = options.voxel_size[axis];
      const double high =
          static_cast<double>(low) + static_cast<double>(extents[axis]) * static_cast<double>(size);
      if (point[axis] < low || static_cast<double>(point[axis]) >= high) return false;
      const float index = (point[axis] - low) / size;
      const std::int32_t last = extents[axis] - 1;
      const std::int32_t along = index < static_cast<float>(last) ? static_cast<std::int32_t>(index) : last;
      cell = cell * static_cast<std::uint64_t>(extents[axis]) + static_cast<std::uint64_t>(along);
    }
    return true;
  }

  void write_voxel(const VoxelizerArguments& arguments, std::int64_t voxel, std::size_t begin,
                   std::size_t end) const {
    const auto y = static_cast<std::uint64_t>(options.grid.y);
    const auto z = static_cast<std::uint64_t>(options.grid.z);
    const std::uint64_t cell = order_[begin].first;
    std::int32_t* coords = arguments.coords + voxel * 4;
    coords[0] = 0;
    coords[1] = static_cast<std::int32_t>(cell / z / y);
    coords[2] = static_cast<std::int32_t>(cell / z % y);
    coords[3] = static_cast<std::int32_t>(cell % z);
    for (int column = 0; column < options.columns; ++column) {
      double sum = 0;
      for (std::size_t i = begin; i < end; ++i)
        sum += static_cast<double>(arguments.points[order_[i].second * options.columns + column]);
      store_element(arguments.feats, storage_type(options.dtype), voxel * options.columns + column,
                    static_cast<float>(sum / static_cast<double>(end - begin)));
    }
  }

  // Runs follow each other: the caller's promise.
  mutable std::vector<std::pair<std::uint64_t, std::int64_t>> order_;  // cell, point
  mutable bool overflowed_ = false;
};

}  // namespace

std::shared_ptr<const VoxelizerData> make_cpu_voxelizer(const VoxelizerOptions& options) {
  return std::make_shared<const CpuVoxelizer>(options);
}

}  // namespace flexgemm::detail
