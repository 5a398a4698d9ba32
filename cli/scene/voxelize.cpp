#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "scene/fail.hpp"
#include "scene/voxel_scene.hpp"

namespace flexgemm::scene {
namespace {

using Cell = std::array<std::int32_t, 3>;

constexpr double largest_float = std::numeric_limits<float>::max();
constexpr double most_cells = std::numeric_limits<std::int32_t>::max();
constexpr std::array<char, 3> axis_names{'x', 'y', 'z'};

struct SortEntry {
  std::uint64_t key;
  std::size_t point;  ///< index into the kept points
};

/// Stable sort by key: least significant digit first, 11 bits a pass.
void radix_sort(std::vector<SortEntry>& entries, std::uint64_t largest_key) {
  constexpr int digit_bits = 11;
  constexpr std::size_t digits = std::size_t{1} << digit_bits;
  std::vector<SortEntry> sorted(entries.size());
  for (int shift = 0; shift < 64 && (largest_key >> shift) != 0; shift += digit_bits) {
    std::array<std::size_t, digits> position{};
    for (const SortEntry& entry : entries) ++position[(entry.key >> shift) % digits];
    std::size_t begin = 0;
    for (std::size_t& count : position) begin += std::exchange(count, begin);
    for (const SortEntry& entry : entries) sorted[position[(entry.key >> shift) % digits]++] = entry;
    entries.swap(sorted);
  }
}

/// The points in the order of their cells, x first; points of one cell in their own order.
std::vector<SortEntry> order_by_cell(const std::vector<Cell>& cells, const Grid& grid) {
  const auto y_extent = static_cast<std::uint64_t>(grid.y);
  const auto z_extent = static_cast<std::uint64_t>(grid.z);
  const auto x_extent = static_cast<std::uint64_t>(grid.x);
  const std::uint64_t plane = y_extent * z_extent;  // below 2^62
  const bool one_key = x_extent <= std::numeric_limits<std::uint64_t>::max() / plane;
  std::vector<SortEntry> entries(cells.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const auto [x, y, z] = cells[i];
    entries[i] = {(one_key ? x * plane : 0) + y * z_extent + static_cast<std::uint64_t>(z), i};
  }
  radix_sort(entries, (one_key ? x_extent * plane : plane) - 1);
  if (one_key) return entries;
  for (SortEntry& entry : entries) entry.key = static_cast<std::uint64_t>(cells[entry.point][0]);
  radix_sort(entries, x_extent - 1);
  return entries;
}

void check_cloud(const PointCloud& cloud) {
  if (cloud.columns < 3 || cloud.values.size() % static_cast<std::size_t>(cloud.columns) != 0)
    fail_argument("a point cloud of {} values with {} columns; it needs whole points of at least 3 columns",
                  cloud.values.size(), cloud.columns);
}

void check_options(const VoxelizeOptions& options) {
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double size = options.voxel_size[axis];
    if (!(size >= std::numeric_limits<float>::min() && size <= largest_float))
      fail_argument("the voxel size along {} is {}; it must be positive and finite", axis_names[axis], size);
    if (!options.range) continue;
    const double low = options.range->low[axis];
    const double high = options.range->high[axis];
    if (!(low >= -largest_float && high <= largest_float && low < high))
      fail_argument("the range along {} is {} to {}; it must be finite and its lower end below its upper end",
                    axis_names[axis], low, high);
  }
}

/// Lower corner, upper corner and cells of what is voxelized.
struct Frame {
  std::array<double, 3> low{};
  std::array<double, 3> high{};
  bool high_inside = false;  ///< the bounding box includes its upper corner
  Cell extents{1, 1, 1};
};

/// Cells that cover `length`: its quotient with the voxel size, rounded up, except that a quotient within
/// rounding error of a whole number is that number (70.4 / 0.05 is 1408).
std::int32_t cells_along(std::size_t axis, double length, double voxel_size, bool high_inside) {
  const double quotient = length / voxel_size;
  const double nearest = std::round(quotient);
  const bool whole = std::abs(quotient - nearest) <= 1e-12 * nearest;
  const double cells = high_inside ? std::floor(quotient) + 1 : (whole ? nearest : std::ceil(quotient));
  if (!(cells <= most_cells))
    fail_argument("{} m at a voxel size of {} m make {} cells along {}; at most {} are possible", length,
                  voxel_size, cells, axis_names[axis], most_cells);
  return std::max(1, static_cast<std::int32_t>(cells));
}

bool is_finite(const float* point, int columns) noexcept {
  return std::all_of(point, point + columns, [](float value) { return std::isfinite(value); });
}

Frame bounding_box(const PointCloud& cloud) {
  Frame frame;
  frame.high_inside = true;
  bool first = true;
  for (std::int64_t i = 0; i < cloud.points(); ++i) {
    const float* const point = cloud.values.data() + i * cloud.columns;
    if (!is_finite(point, cloud.columns)) continue;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const double value = point[axis];
      frame.low[axis] = first ? value : std::min(frame.low[axis], value);
      frame.high[axis] = first ? value : std::max(frame.high[axis], value);
    }
    first = false;
  }
  return frame;
}

Frame make_frame(const PointCloud& cloud, const VoxelizeOptions& options) {
  Frame frame;
  if (options.range) {
    frame.low = options.range->low;
    frame.high = options.range->high;
  } else {
    frame = bounding_box(cloud);
  }
  for (std::size_t axis = 0; axis < 3; ++axis)
    frame.extents[axis] =
        cells_along(axis, frame.high[axis] - frame.low[axis], options.voxel_size[axis], frame.high_inside);
  return frame;
}

bool is_inside(const float* point, const Frame& frame) noexcept {
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double value = point[axis];
    const bool below_high = frame.high_inside ? value <= frame.high[axis] : value < frame.high[axis];
    if (value < frame.low[axis] || !below_high) return false;
  }
  return true;
}

/// In float, the arithmetic of the field's voxelizers, so that voxel counts agree with theirs. A point just
/// below the upper corner may round into the cell behind the last one: it belongs to the last.
Cell cell_of(const float* point, const std::array<float, 3>& low, const std::array<float, 3>& voxel_size,
             const Cell& extents) noexcept {
  Cell cell;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const float index = (point[axis] - low[axis]) / voxel_size[axis];  // not negative, or by rounding only
    const std::int32_t last = extents[axis] - 1;
    cell[axis] = index < static_cast<float>(last) ? std::max(0, static_cast<std::int32_t>(index)) : last;
  }
  return cell;
}

/// Where the points of each cell begin in `order`, and where the last cell ends.
std::vector<std::size_t> find_runs(const std::vector<Cell>& cells, const std::vector<SortEntry>& order) {
  std::vector<std::size_t> begins;
  begins.reserve(order.size() + 1);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const bool same = i > 0 && order[i].key == order[i - 1].key &&  // keys alone may be those of x only
                      cells[order[i].point] == cells[order[i - 1].point];
    if (!same) begins.push_back(i);
  }
  begins.push_back(order.size());
  return begins;
}

/// One voxel for each cell.
void average_cells(const PointCloud& cloud, const std::vector<Cell>& cells,
                   const std::vector<std::size_t>& points, const std::vector<SortEntry>& order,
                   VoxelScene& scene) {
  const auto columns = static_cast<std::size_t>(cloud.columns);
  const std::vector<std::size_t> begins = find_runs(cells, order);
  const std::size_t voxels = begins.size() - 1;
  scene.coords.resize(4 * voxels);
  scene.feats.resize(columns * voxels);
  std::int32_t* coordinate = scene.coords.data();
  float* feature = scene.feats.data();
  std::vector<double> sum(columns);
  for (std::size_t voxel = 0; voxel < voxels; ++voxel) {
    std::fill(sum.begin(), sum.end(), 0.0);
    for (std::size_t i = begins[voxel]; i < begins[voxel + 1]; ++i) {
      const float* const point = cloud.values.data() + points[order[i].point] * columns;
      for (std::size_t column = 0; column < columns; ++column) sum[column] += point[column];
    }
    const Cell& cell = cells[order[begins[voxel]].point];
    *coordinate++ = 0;
    coordinate = std::copy(cell.begin(), cell.end(), coordinate);
    const auto count = static_cast<double>(begins[voxel + 1] - begins[voxel]);
    for (const double total : sum) *feature++ = static_cast<float>(total / count);
  }
}

}  // namespace

VoxelScene voxelize(const PointCloud& cloud, const VoxelizeOptions& options) {
  check_cloud(cloud);
  check_options(options);
  const Frame frame = make_frame(cloud, options);
  VoxelScene scene;
  scene.feature_columns = cloud.columns;
  scene.grid = {.batch = 1, .x = frame.extents[0], .y = frame.extents[1], .z = frame.extents[2]};
  scene.points = cloud.points();
  const auto to_float3 = [](const std::array<double, 3>& values) {
    return std::array<float, 3>{static_cast<float>(values[0]), static_cast<float>(values[1]),
                                static_cast<float>(values[2])};
  };
  const std::array<float, 3> low = to_float3(frame.low);
  const std::array<float, 3> voxel_size = to_float3(options.voxel_size);
  std::vector<Cell> cells;
  std::vector<std::size_t> points;
  cells.reserve(static_cast<std::size_t>(scene.points));
  points.reserve(static_cast<std::size_t>(scene.points));
  for (std::int64_t i = 0; i < scene.points; ++i) {
    const float* const point = cloud.values.data() + i * cloud.columns;
    if (!is_finite(point, cloud.columns)) {
      ++scene.dropped_not_finite;
    } else if (!is_inside(point, frame)) {
      ++scene.dropped_out_of_range;
    } else {
      cells.push_back(cell_of(point, low, voxel_size, frame.extents));
      points.push_back(static_cast<std::size_t>(i));
    }
  }
  average_cells(cloud, cells, points, order_by_cell(cells, scene.grid), scene);
  return scene;
}

}  // namespace flexgemm::scene
