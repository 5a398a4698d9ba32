#include "cpu/cpu_map.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
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
      if (hash.find(CoordinateHash::column(c), c) < row) {
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
  const std::int32_t first = hash.find(CoordinateHash::column(c), c);
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

/// Taps along z as bits of the filter's words.
struct ColumnTaps {
  int words = 0;
  std::int32_t word[7];  ///< z / 64
  std::uint64_t bits[7];

  /// The first `count` taps.
  ColumnTaps(const AxisTaps& z, std::int32_t count) noexcept {
    for (std::int32_t k = 0; k < count; ++k) {
      if (!z.inside[k]) continue;
      const std::int32_t own = z.cells[k] >> 6;
      if (words == 0 || word[words - 1] != own) {
        word[words] = own;
        bits[words++] = 0;
      }
      bits[words - 1] |= std::uint64_t{1} << (z.cells[k] & 63);
    }
  }
};

/// Cells of a column that are probably occupied, near a row.
struct Candidate {
  std::int64_t row;
  Coordinate first_cell;  ///< the cell of the lowest bit
  std::int32_t first_offset;
  std::uint64_t bits;
};

/// Finds the neighbors of many rows in two steps, so that cache misses overlap: a pass over the filter
/// collects the cells that may be occupied and asks for their slots, a second pass looks them up.
class NeighborSearch {
 public:
  NeighborSearch(const CoordinateHash& hash, const MapArguments& arguments, int offsets)
      : hash_(hash), arguments_(arguments), offsets_(offsets) {}

  /// Searches the offsets [0, offsets) of a row inside the grid; hands each neighbor of this and earlier rows
  /// to found(row, v, neighbor), now or at finish().
  template <class Found>
  void add(std::int64_t row, const Coordinate& center, const Found& found) {
    if (count_ + most_a_row > candidates_.size()) finish(found);
    const auto& [kernel, dilation, checked] = arguments_.options;
    const AxisTaps x(center[1], kernel.x, dilation.x, arguments_.grid.x);
    const AxisTaps y(center[2], kernel.y, dilation.y, arguments_.grid.y);
    const AxisTaps z(center[3], kernel.z, dilation.z, arguments_.grid.z);
    const ColumnTaps all(z, kernel.z);
    const ColumnTaps rest(z, offsets_ % kernel.z);  // of the last column, if it is cut
    for (std::int32_t kx = 0, first = 0; kx < kernel.x; ++kx) {
      for (std::int32_t ky = 0; ky < kernel.y && first < offsets_; ++ky, first += kernel.z) {
        if (!x.inside[kx] || !y.inside[ky]) continue;
        const Coordinate cells{center[0], x.cells[kx], y.cells[ky], center[3]};
        collect(row, cells, first, first + kernel.z <= offsets_ ? all : rest);
      }
    }
  }

  template <class Found>
  void finish(const Found& found) {
    const std::int32_t dilation = arguments_.options.dilation.z;
    for (std::size_t i = 0; i < count_; ++i) {
      const Candidate& candidate = candidates_[i];
      const CoordinateHash::Column column = CoordinateHash::column(candidate.first_cell);
      Coordinate cell = candidate.first_cell;
      const std::int32_t word = cell[3] & ~63;
      for (std::uint64_t bits = candidate.bits; bits != 0; bits &= bits - 1) {
        cell[3] = word + std::countr_zero(bits);
        const std::int32_t neighbor = hash_.find(column, cell);
        if (neighbor < 0) continue;
        const std::int32_t steps = cell[3] - hash_.coordinate(candidate.row)[3];
        found(candidate.row, candidate.first_offset + (dilation == 1 ? steps : steps / dilation), neighbor);
      }
    }
    count_ = 0;
  }

 private:
  static constexpr std::size_t most_a_row = 7 * 7 * 7;

  void collect(std::int64_t row, Coordinate cell, std::int32_t first_offset, const ColumnTaps& taps) {
    const CoordinateHash::Column column = CoordinateHash::column(cell);
    for (int i = 0; i < taps.words; ++i) {
      const std::uint64_t bits = hash_.occupancy(column, taps.word[i] * 64) & taps.bits[i];
      cell[3] = taps.word[i] * 64 + std::countr_zero(bits | std::uint64_t{1} << 63);
      hash_.prefetch(column, cell[3]);
      // Written whether or not there are cells and counted if there are: no branch waits for the filter.
      candidates_[count_] = {row, cell, first_offset + arguments_.options.kernel.z / 2, bits};
      count_ += bits != 0 ? 1 : 0;
    }
  }

  const CoordinateHash& hash_;
  const MapArguments& arguments_;
  const int offsets_;
  std::size_t count_ = 0;
  std::array<Candidate, most_a_row + 256> candidates_;
};

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
    NeighborSearch search(hash, arguments, symmetric ? volume / 2 : volume);
    std::int64_t count = 0;
    const auto found = [&](std::int64_t row, int v, std::int32_t neighbor) {
      indices[row * volume + v] = neighbor;
      ++count;
      if (!symmetric) return;
      // Half of the offsets tell the other half: nobody else writes that element of the neighbor's row.
      indices[std::int64_t{neighbor} * volume + (volume - 1 - v)] = static_cast<std::int32_t>(row);
      ++count;
    };
    const std::int64_t end = std::min(rows, (task + 1) * rows_per_task);
    for (std::int64_t row = task * rows_per_task; row < end; ++row) {
      const Coordinate center = hash.coordinate(row);
      if (!is_inside(center, arguments.grid)) continue;
      search.add(row, center, found);
      if (!symmetric) continue;
      indices[row * volume + volume / 2] = static_cast<std::int32_t>(row);
      ++count;
    }
    search.finish(found);
    pairs.fetch_add(count, std::memory_order_relaxed);
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
  symmetric_ = is_mirrored(kernel) && !census.duplicates;
  pairs_ = fill_indices(hash, cpu_->pool, arguments, volume(), symmetric_, indices_.data());
}

std::shared_ptr<const CpuMap> CpuMap::build(const std::shared_ptr<CpuDevice>& device,
                                            const MapArguments& arguments) {
  return std::shared_ptr<const CpuMap>(new CpuMap(device, arguments));
}

}  // namespace flexgemm::detail
