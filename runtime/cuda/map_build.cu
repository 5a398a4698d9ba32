#include <algorithm>
#include <bit>
#include <type_traits>

#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>

#include "cuda/block_table.cuh"
#include "cuda/coordinate_table.cuh"
#include "cuda/launch.hpp"
#include "cuda/map_build.hpp"
#include "cuda/place.cuh"

namespace flexgemm::detail {

namespace {

constexpr int threads_per_block = 256;
constexpr int max_volume = 343;
constexpr int max_rows_per_block = 128;

/// Marks a row outside the grid: no batch is negative.
constexpr int outside = -1;

/// Geometry of the taps, with the divisions by V done by multiplication.
struct Taps {
  Extent3 kernel;
  Extent3 dilation;
  int volume;
  int looked_up;             // offsets 0 ... looked_up - 1 are looked up
  std::uint32_t reciprocal;  // ceil(2^32 / looked_up)
};

struct Tap {
  int x, y, z;
  DeviceWord cell;  // difference of cell numbers, modulo 2^64
};

__device__ Tap tap_of(const Taps& taps, const DeviceGrid& grid, int v) {
  const int kz = v % taps.kernel.z;
  const int ky = v / taps.kernel.z % taps.kernel.y;
  const int kx = v / taps.kernel.z / taps.kernel.y;
  Tap tap;
  tap.x = (kx - taps.kernel.x / 2) * taps.dilation.x;
  tap.y = (ky - taps.kernel.y / 2) * taps.dilation.y;
  tap.z = (kz - taps.kernel.z / 2) * taps.dilation.z;
  tap.cell = (static_cast<DeviceWord>(static_cast<long long>(tap.x)) * grid.y +
              static_cast<DeviceWord>(static_cast<long long>(tap.y))) *
                 grid.z +
             static_cast<DeviceWord>(static_cast<long long>(tap.z));
  return tap;
}

template <class Table>
__global__ void __launch_bounds__(threads_per_block)
    insert_kernel(Table table, Coordinates coordinates, std::int64_t rows, const std::int32_t* live_rows,
                  DeviceGrid grid, std::uint64_t* places, PlaceShape place_shape, BuildCounters* counters) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * threads_per_block + threadIdx.x;
  if (row == 0) counters->pairs = 0;  // find_kernel, which adds to it, comes later in the stream
  if (row >= rows || (live_rows != nullptr && row >= *live_rows)) return;
  const int4 coordinate = coordinates.load(row);
  if (places != nullptr) places[row] = place_of(coordinate, grid, place_shape);
  if (!grid.contains(coordinate)) {
    atomicMin(&counters->offender, static_cast<DeviceWord>(row) * 2);
    return;
  }
  const int repeated = table.insert(grid.cell(coordinate), coordinate, static_cast<int>(row));
  if (repeated != no_row) atomicMin(&counters->offender, static_cast<DeviceWord>(repeated) * 2 + 1);
}

/// Gives every block of cells its part of the list of rows.
__global__ void __launch_bounds__(threads_per_block) allocate_kernel(BlockTable table) {
  using Scan = cub::BlockScan<int, threads_per_block>;
  __shared__ typename Scan::TempStorage scan_storage;
  __shared__ std::uint32_t begin;
  // A table of fewer slots than a block has threads ends within one.
  const std::uint64_t slot = static_cast<std::uint64_t>(blockIdx.x) * threads_per_block + threadIdx.x;
  const bool used = slot <= table.slot_mask && table.slots[slot].block != BlockTable::empty;
  const int cells = used ? __popcll(~table.slots[slot].absent) : 0;
  int before;
  int all;
  Scan(scan_storage).ExclusiveSum(cells, before, all);
  if (threadIdx.x == 0 && all != 0) begin = atomicAdd(table.allocated, static_cast<std::uint32_t>(all)) + 1;
  __syncthreads();
  if (used) table.slots[slot].first = begin + static_cast<std::uint32_t>(before);
}

__global__ void __launch_bounds__(threads_per_block)
    place_kernel(BlockTable table, Coordinates coordinates, std::int64_t rows, const std::int32_t* live_rows,
                 DeviceGrid grid, BuildCounters* counters) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * threads_per_block + threadIdx.x;
  if (row >= rows || (live_rows != nullptr && row >= *live_rows)) return;
  const int4 coordinate = coordinates.load(row);
  if (!grid.contains(coordinate)) return;
  const int repeated = table.place(coordinate, static_cast<int>(row));
  if (repeated != no_row) atomicMin(&counters->offender, static_cast<DeviceWord>(repeated) * 2 + 1);
}

/// A block serves `rows_per_block` rows; its threads run over their (row, offset) entries in memory order, so
/// that the writes of a full lookup are coalesced and the taps of a row along z, which share a sector of the
/// table, fall into one warp.
template <class Table, bool symmetric>
__global__ void __launch_bounds__(threads_per_block)
    find_kernel(Table table, Coordinates coordinates, std::int64_t rows, const std::int32_t* live_rows,
                DeviceGrid grid, Taps taps, int rows_per_block, std::int32_t* indices, DeviceWord* pairs) {
  __shared__ int4 own[max_rows_per_block];
  __shared__ DeviceWord own_cell[max_rows_per_block];
  __shared__ Tap tap[max_volume];
  using Reduce = cub::BlockReduce<int, threads_per_block>;
  __shared__ typename Reduce::TempStorage reduce_storage;

  const std::int64_t first_row = static_cast<std::int64_t>(blockIdx.x) * rows_per_block;
  if (live_rows != nullptr) rows = *live_rows;
  if (first_row >= rows) return;  // the whole block
  const int block_rows = static_cast<int>(min(static_cast<std::int64_t>(rows_per_block), rows - first_row));
  const int thread = static_cast<int>(threadIdx.x);
  int found = 0;
  for (int v = thread; v < taps.looked_up; v += threads_per_block) tap[v] = tap_of(taps, grid, v);
  for (int r = thread; r < block_rows; r += threads_per_block) {
    int4 coordinate = coordinates.load(first_row + r);
    if (!grid.contains(coordinate)) {
      coordinate.x = outside;
    } else if (symmetric) {
      indices[(first_row + r) * taps.volume + taps.volume / 2] = static_cast<int>(first_row + r);
      ++found;
    }
    own[r] = coordinate;
    own_cell[r] = grid.cell(coordinate);
  }
  __syncthreads();

  const int entries = block_rows * taps.looked_up;
  for (int entry = thread; entry < entries; entry += threads_per_block) {
    const int r = taps.looked_up == 1
                      ? entry
                      : static_cast<int>(__umulhi(static_cast<std::uint32_t>(entry), taps.reciprocal));
    const int v = entry - r * taps.looked_up;
    const int4 from = own[r];
    // The sums wrap as unsigned numbers: DeviceGrid::contains_cell says why that is right.
    const int4 to =
        make_int4(from.x, static_cast<int>(static_cast<unsigned>(from.y) + static_cast<unsigned>(tap[v].x)),
                  static_cast<int>(static_cast<unsigned>(from.z) + static_cast<unsigned>(tap[v].y)),
                  static_cast<int>(static_cast<unsigned>(from.w) + static_cast<unsigned>(tap[v].z)));
    int neighbor = no_row;
    if (from.x != outside && grid.contains_cell(to.y, to.z, to.w)) {
      neighbor = table.find(own_cell[r] + tap[v].cell, to);
    }
    const std::int64_t row = first_row + r;
    if (!symmetric) {
      indices[row * taps.volume + v] = neighbor;
      found += neighbor != no_row;
    } else if (neighbor != no_row) {
      indices[row * taps.volume + v] = neighbor;
      indices[static_cast<std::int64_t>(neighbor) * taps.volume + (taps.volume - 1 - v)] =
          static_cast<int>(row);
      found += 2;
    }
  }
  const int block_found = Reduce(reduce_storage).Sum(found);
  if (thread == 0 && block_found != 0) atomicAdd(pairs, static_cast<DeviceWord>(block_found));
}

/// Blocks of 4 x 4 x 4 cells along each axis.
Extent3 blocks_along(const Grid& grid) {
  const auto blocks = [](std::int32_t cells) { return cells / 4 + (cells % 4 != 0 ? 1 : 0); };
  return {blocks(grid.x), blocks(grid.y), blocks(grid.z)};
}

BlockTable block_table(const MapBuild& build) {
  const std::uint64_t slots = build.table_shape.slots;
  auto* first = static_cast<BlockTable::Slot*>(build.table);
  auto* list = reinterpret_cast<std::uint32_t*>(first + slots);
  const Extent3 blocks = blocks_along(build.grid);
  return {first,
          list,
          list + build.rows,
          static_cast<std::uint32_t>(slots - 1),
          64 - std::countr_zero(slots),
          static_cast<unsigned>(blocks.x),
          static_cast<unsigned>(blocks.y),
          static_cast<unsigned>(blocks.z)};
}

/// Calls `function` with the device-side table of the build's kind.
template <class Function>
void with_table(const MapBuild& build, Function&& function) {
  const auto slot_mask = static_cast<std::uint32_t>(build.table_shape.slots - 1);
  const int group_shift = 64 - (std::countr_zero(build.table_shape.slots) - 2);
  const Coordinates coordinates{build.coords,
                                reinterpret_cast<std::uintptr_t>(build.coords) % sizeof(int4) == 0};
  switch (build.table_shape.kind) {
    case TableKind::packed:
      return function(PackedTable{static_cast<DeviceWord*>(build.table), slot_mask, group_shift},
                      coordinates);
    case TableKind::wide: {
      auto* cells = static_cast<DeviceWord*>(build.table);
      auto* rows = reinterpret_cast<std::uint32_t*>(cells + build.table_shape.slots);
      return function(WideTable{cells, rows, slot_mask, group_shift}, coordinates);
    }
    case TableKind::rows:
      return function(RowTable{static_cast<std::uint32_t*>(build.table), coordinates, slot_mask, group_shift},
                      coordinates);
    case TableKind::blocks:
      return function(block_table(build), coordinates);
  }
}

DeviceGrid device_grid(const Grid& grid) {
  return {static_cast<unsigned>(grid.batch), static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y),
          static_cast<unsigned>(grid.z)};
}

/// Cells of the grid, or 2^63 + 1 if there are more than 2^63.
std::uint64_t saturated_cells(const Grid& grid) {
  constexpr std::uint64_t limit = 1ull << 63;
  std::uint64_t cells = 1;
  for (const std::int32_t extent : {grid.batch, grid.x, grid.y, grid.z}) {
    if (cells > limit / static_cast<std::uint64_t>(extent)) return limit + 1;
    cells *= static_cast<std::uint64_t>(extent);
  }
  return cells;
}

}  // namespace

TableShape table_shape(std::int64_t rows, const Grid& grid) {
  // From here on the faster lookups are worth two more kernels.
  constexpr std::int64_t fewest_rows_in_blocks = 50'000;
  TableShape shape;
  const Extent3 blocks = blocks_along(grid);
  if (rows >= fewest_rows_in_blocks &&
      saturated_cells({grid.batch, blocks.x, blocks.y, blocks.z}) < BlockTable::empty) {
    shape.kind = TableKind::blocks;
    shape.slots = std::bit_ceil(static_cast<std::uint64_t>(rows) * 5 / 4);
    shape.bytes = shape.slots * sizeof(BlockTable::Slot) +
                  (static_cast<std::size_t>(rows) + 1) * sizeof(std::uint32_t);  // the list, and its length
    return shape;
  }
  shape.slots = std::bit_ceil(std::max<std::uint64_t>(static_cast<std::uint64_t>(rows) * 2, 64));
  const std::uint64_t cells = saturated_cells(grid);
  if (cells <= (1ull << 32)) {
    shape.kind = TableKind::packed;
    shape.bytes = shape.slots * sizeof(DeviceWord);
  } else if (cells <= (1ull << 63)) {
    shape.kind = TableKind::wide;
    shape.bytes = shape.slots * (sizeof(DeviceWord) + sizeof(std::uint32_t));
  } else {
    shape.kind = TableKind::rows;
    shape.bytes = shape.slots * sizeof(std::uint32_t);
  }
  return shape;
}

void insert_coordinates(const MapBuild& build, bool symmetric, CUstream_st* stream) {
  // All ones is the empty slot of every kind of table, "no offender", and the -1 of an index.
  const bool in_blocks = build.table_shape.kind == TableKind::blocks;
  require_success(cudaMemsetAsync(build.table, 0xff, build.table_shape.bytes, stream),
                  "clearing the hash table");
  auto* counters = reinterpret_cast<unsigned char*>(build.counters);
  const bool clear_indices = (symmetric && !in_blocks) || build.live_rows != nullptr;
  auto* from = clear_indices ? reinterpret_cast<unsigned char*>(build.indices) : counters;
  require_success(
      cudaMemsetAsync(from, 0xff, static_cast<std::size_t>(counters - from) + sizeof(BuildCounters), stream),
      "clearing the neighbor map");
  with_table(build, [&](auto table, const Coordinates& coordinates) {
    launch("inserting coordinates", insert_kernel<decltype(table)>, ceil_div(build.rows, threads_per_block),
           threads_per_block, 0, stream, table, coordinates, build.rows, build.live_rows,
           device_grid(build.grid), build.places, build.place_shape, build.counters);
    if constexpr (std::is_same_v<decltype(table), BlockTable>) {
      launch("allocating rows to blocks", allocate_kernel,
             ceil_div(static_cast<std::int64_t>(build.table_shape.slots), threads_per_block),
             threads_per_block, 0, stream, table);
      launch("placing rows in blocks", place_kernel, ceil_div(build.rows, threads_per_block),
             threads_per_block, 0, stream, table, coordinates, build.rows, build.live_rows,
             device_grid(build.grid), build.counters);
    }
  });
}

void find_neighbors(const MapBuild& build, bool symmetric, CUstream_st* stream) {
  if (build.table_shape.kind == TableKind::blocks) symmetric = false;
  Taps taps{};
  taps.kernel = build.kernel;
  taps.dilation = build.dilation;
  taps.volume = build.kernel.x * build.kernel.y * build.kernel.z;
  taps.looked_up = symmetric ? taps.volume / 2 : taps.volume;
  // entry / looked_up is exact for entries below 2^32 / looked_up, and there are at most 128 * 343.
  if (taps.looked_up > 1) {
    const auto divisor = static_cast<std::uint64_t>(taps.looked_up);
    taps.reciprocal = static_cast<std::uint32_t>(((1ull << 32) + divisor - 1) / divisor);
  }
  // Fewer rows a block while there are not enough blocks to fill the device.
  const int rows_per_block = build.rows < 65536 ? 32 : max_rows_per_block;
  with_table(build, [&](auto table, const Coordinates& coordinates) {
    using Table = decltype(table);
    const auto kernel = symmetric ? find_kernel<Table, true> : find_kernel<Table, false>;
    launch("looking up neighbors", kernel, ceil_div(build.rows, rows_per_block), threads_per_block, 0, stream,
           table, coordinates, build.rows, build.live_rows, device_grid(build.grid), taps, rows_per_block,
           build.indices, &build.counters->pairs);
  });
}

}  // namespace flexgemm::detail
