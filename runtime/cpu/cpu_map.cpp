#include "cpu/cpu_map.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <utility>

#include "core/fail.hpp"
#include "cpu/coordinate_hash.hpp"

namespace flexgemm::detail {

namespace {

constexpr std::int64_t rows_per_task = 2048;
constexpr std::int64_t no_row = std::numeric_limits<std::int64_t>::max();

std::int64_t task_count(std::int64_t rows) { return (rows + rows_per_task - 1) / rows_per_task; }

void lower_to(std::atomic<std::int64_t>& minimum, std::int64_t value) noexcept {
  std::int64_t current = minimum.load(std::memory_order_relaxed);
  while (value < current && !minimum.compare_exchange_weak(current, value, std::memory_order_relaxed)) {
  }
}

bool is_inside(const Coordinate& c, const Grid& grid) noexcept {
  return c[0] >= 0 && c[0] < grid.batch && c[1] >= 0 && c[1] < grid.x && c[2] >= 0 && c[2] < grid.y &&
         c[3] >= 0 && c[3] < grid.z;
}

bool all_odd(const Extent3& kernel) noexcept { return (kernel.x & kernel.y & kernel.z & 1) != 0; }

/// What inserting every row has shown.
struct Census {
  std::int64_t first_outside = no_row;  ///< lowest row outside the grid
  bool duplicates = false;
};

Census insert_rows(CoordinateHash& hash, ThreadPool& pool, const MapArguments& arguments) {
  std::atomic<std::int64_t> first_outside{no_row};
  std::atomic<bool> duplicates{false};
  pool.parallel_for(task_count(arguments.rows), [&](std::int64_t task, int) {
    const std::int64_t end = std::min(arguments.rows, (task + 1) * rows_per_task);
    for (std::int64_t row = task * rows_per_task; row < end; ++row) {
      if (!is_inside(hash.coordinate(row), arguments.grid)) {
        lower_to(first_outside, row);
      } else if (!hash.insert(static_cast<std::int32_t>(row))) {
        duplicates.store(true, std::memory_order_relaxed);
      }
    }
  });
  return {first_outside.load(), duplicates.load()};
}

/// The lowest row whose coordinate a lower row holds too.
std::int64_t first_duplicate(const CoordinateHash& hash, ThreadPool& pool, const MapArguments& arguments) {
  std::atomic<std::int64_t> first{no_row};
  pool.parallel_for(task_count(arguments.rows), [&](std::int64_t task, int) {
    const std::int64_t end = std::min(arguments.rows, (task + 1) * rows_per_task);
    for (std::int64_t row = task * rows_per_task; row < end; ++row) {
      const Coordinate c = hash.coordinate(row);
      if (!is_inside(c, arguments.grid)) continue;
      if (hash.find(CoordinateHash::column_hash(c[0], c[1], c[2]), c) < row) {
        lower_to(first, row);
        break;
      }
    }
  });
  return first.load();
}

/// Throws for the lowest row that is outside the grid or repeats a coordinate, if there is one.
void require_valid_rows(const Census& census, const CoordinateHash& hash, ThreadPool& pool,
                        const MapArguments& arguments) {
  const std::int64_t duplicate = census.duplicates ? first_duplicate(hash, pool, arguments) : no_row;
  const std::int64_t row = std::min(census.first_outside, duplicate);
  if (row == no_row) return;
  const Coordinate c = hash.coordinate(row);
  const Grid& grid = arguments.grid;
  if (row == census.first_outside) {
    fail(ErrorCode::invalid_coordinate,
         "row {} of coords is ({}, {}, {}, {}), outside the grid of batch {}, {}x{}x{}; drop such rows, "
         "enlarge the "
         "grid or build the map with checked = false",
         row, c[0], c[1], c[2], c[3], grid.batch, grid.x, grid.y, grid.z);
  }
  const std::int32_t first = hash.find(CoordinateHash::column_hash(c[0], c[1], c[2]), c);
  fail(ErrorCode::invalid_coordinate,
       "rows {} and {} of coords are both ({}, {}, {}, {}) in the grid of batch {}, {}x{}x{}; merge such "
       "rows or "
       "build the map with checked = false",
       first, row, c[0], c[1], c[2], c[3], grid.batch, grid.x, grid.y, grid.z);
}

/// Taps along one axis: where they fall and whether that is inside the grid.
struct AxisTaps {
  std::int32_t cells[7];
  bool inside[7];

  AxisTaps(std::int32_t center, std::int32_t taps, std::int32_t dilation, std::int32_t extent) noexcept {
    for (std::int32_t k = 0; k < taps; ++k) {
      const std::int64_t cell = std::int64_t{center} + std::int64_t{k - taps / 2} * dilation;
      inside[k] = cell >= 0 && cell < extent;
      cells[k] = inside[k] ? static_cast<std::int32_t>(cell) : 0;
    }
  }
};

/// Finds the neighbors of `row` for the offsets [0, offsets) and hands each to found(v, neighbor).
template <class Found>
void find_neighbors(const CoordinateHash& hash, const MapArguments& arguments, std::int64_t row, int offsets,
                    const Found& found) {
  const Coordinate center = hash.coordinate(row);
  if (!is_inside(center, arguments.grid)) return;
  const auto& [kernel, dilation, checked] = arguments.options;
  const AxisTaps x(center[1], kernel.x, dilation.x, arguments.grid.x);
  const AxisTaps y(center[2], kernel.y, dilation.y, arguments.grid.y);
  const AxisTaps z(center[3], kernel.z, dilation.z, arguments.grid.z);
  int v = 0;
  for (std::int32_t kx = 0; kx < kernel.x; ++kx) {
    for (std::int32_t ky = 0; ky < kernel.y; ++ky) {
      const bool column_inside = x.inside[kx] && y.inside[ky];
      const std::uint64_t column = CoordinateHash::column_hash(center[0], x.cells[kx], y.cells[ky]);
      for (std::int32_t kz = 0; kz < kernel.z; ++kz, ++v) {
        if (v == offsets) return;
        if (!column_inside || !z.inside[kz]) continue;
        const std::int32_t neighbor = hash.find(column, {center[0], x.cells[kx], y.cells[ky], z.cells[kz]});
        if (neighbor >= 0) found(v, neighbor);
      }
    }
  }
}

/// Fills indices [rows, V] and returns the number of pairs.
std::int64_t fill_indices(const CoordinateHash& hash, ThreadPool& pool, const MapArguments& arguments,
                          int volume, bool symmetric, std::int32_t* indices) {
  const std::int64_t rows = arguments.rows;
  pool.parallel_for(task_count(rows), [&](std::int64_t task, int) {
    const std::int64_t end = std::min(rows, (task + 1) * rows_per_task);
    std::fill(indices + task * rows_per_task * volume, indices + end * volume, -1);
  });
  std::atomic<std::int64_t> pairs{0};
  pool.parallel_for(task_count(rows), [&](std::int64_t task, int) {
    const std::int64_t end = std::min(rows, (task + 1) * rows_per_task);
    std::int64_t found = 0;
    for (std::int64_t row = task * rows_per_task; row < end; ++row) {
      std::int32_t* own = indices + row * volume;
      if (!symmetric) {
        find_neighbors(hash, arguments, row, volume, [&](int v, std::int32_t neighbor) {
          own[v] = neighbor;
          ++found;
        });
        continue;
      }
      // Half of the offsets tell the other half: nobody else writes that element of the neighbor's row.
      if (!is_inside(hash.coordinate(row), arguments.grid)) continue;
      own[volume / 2] = static_cast<std::int32_t>(row);
      ++found;
      find_neighbors(hash, arguments, row, volume / 2, [&](int v, std::int32_t neighbor) {
        own[v] = neighbor;
        indices[std::int64_t{neighbor} * volume + (volume - 1 - v)] = static_cast<std::int32_t>(row);
        found += 2;
      });
    }
    pairs.fetch_add(found, std::memory_order_relaxed);
  });
  return pairs.load();
}

}  // namespace

CpuMap::CpuMap(std::shared_ptr<CpuDevice> cpu, const MapArguments& arguments)
    : MapData(Device::cpu(), arguments.rows, arguments.options), cpu_(std::move(cpu)) {
  CoordinateHash hash(cpu_->memory, cpu_->pool, arguments.coords, rows);
  const Census census = insert_rows(hash, cpu_->pool, arguments);
  if (arguments.options.checked) require_valid_rows(census, hash, cpu_->pool, arguments);
  indices_ = HostBuffer<std::int32_t>(cpu_->memory, rows * volume());
  symmetric_ = all_odd(kernel) && !census.duplicates;
  pairs_ = fill_indices(hash, cpu_->pool, arguments, volume(), symmetric_, indices_.data());
}

std::shared_ptr<const CpuMap> CpuMap::build(const std::shared_ptr<CpuDevice>& device,
                                            const MapArguments& arguments) {
  return std::shared_ptr<const CpuMap>(new CpuMap(device, arguments));
}

}  // namespace flexgemm::detail
