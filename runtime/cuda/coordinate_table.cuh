#pragma once

// Hash tables from coordinates to rows. All three kinds share one scheme: open addressing with linear
// probing. The last two bits of a cell's number choose the slot within a 32-byte sector (or half of one), the
// others are hashed to the group of four slots: cells that are neighbors along z mostly share a sector, and
// the taps of a kernel along z cost one memory access instead of three.
//
// Insertion is deterministic in what it leaves behind: whatever the order of threads, a coordinate maps to
// its lowest row, and the lowest row that repeats an earlier one is among those that `insert` reports.

#include <cstdint>

#include "cuda/map_build.hpp"

namespace flexgemm::detail {

using DeviceWord = unsigned long long;

/// Result of an insertion that met no equal coordinate.
inline constexpr int no_row = -1;

/// Grid extents with the coordinate test, in the unsigned form in which one comparison covers both ends.
struct DeviceGrid {
  unsigned batch, x, y, z;

  __device__ bool contains(const int4& coordinate) const {
    return static_cast<unsigned>(coordinate.x) < batch &&
           contains_cell(coordinate.y, coordinate.z, coordinate.w);
  }
  /// For a cell that a tap reaches from inside the grid: the sum of a coordinate below 2^31 and a
  /// displacement of at most 3 * 2^24 either wraps below zero to a value above every extent, or exceeds the
  /// extent without wrapping.
  __device__ bool contains_cell(int cell_x, int cell_y, int cell_z) const {
    return static_cast<unsigned>(cell_x) < x && static_cast<unsigned>(cell_y) < y &&
           static_cast<unsigned>(cell_z) < z;
  }
  /// Row-major number of the cell, modulo 2^64.
  __device__ DeviceWord cell(const int4& coordinate) const {
    return ((static_cast<DeviceWord>(coordinate.x) * x + static_cast<DeviceWord>(coordinate.y)) * y +
            static_cast<DeviceWord>(coordinate.z)) *
               z +
           static_cast<DeviceWord>(coordinate.w);
  }
};

/// Coordinates as the user gave them: 16-byte loads where the address allows.
struct Coordinates {
  const int* data;
  bool vector;

  __device__ int4 load(std::int64_t row) const {
    if (vector) return __ldg(reinterpret_cast<const int4*>(data) + row);
    const int* own = data + row * 4;
    return make_int4(__ldg(own), __ldg(own + 1), __ldg(own + 2), __ldg(own + 3));
  }
};

/// Mixes all bits of `value` into the upper bits of the result.
__device__ inline DeviceWord mix(DeviceWord value) {
  value *= 0x9e3779b97f4a7c15ull;  // 2^64 over the golden ratio
  value ^= value >> 32;
  return value * 0xd6e8feb86659fd93ull;
}

/// Slot where probing for a cell begins: the group from the hash, the place in it from the cell's last bits.
__device__ inline std::uint32_t first_slot(DeviceWord cell, std::uint32_t slot_mask, int group_shift) {
  const auto group = static_cast<std::uint32_t>(mix(cell >> 2) >> group_shift);
  return ((group << 2) | (static_cast<std::uint32_t>(cell) & 3u)) & slot_mask;
}

struct PackedTable {
  static constexpr DeviceWord empty = ~0ull;  // no entry equals it, because rows are below 2^31
  DeviceWord* slots;
  std::uint32_t slot_mask;
  int group_shift;

  /// no_row, or the larger row of the two that have this coordinate.
  __device__ int insert(DeviceWord cell, const int4&, int row) const {
    const DeviceWord entry = (cell << 32) | static_cast<std::uint32_t>(row);
    std::uint32_t slot = first_slot(cell, slot_mask, group_shift);
    while (true) {
      const DeviceWord seen = atomicCAS(slots + slot, empty, entry);
      if (seen == empty) return no_row;
      if ((seen >> 32) == cell) {
        const DeviceWord before = atomicMin(slots + slot, entry);
        return max(static_cast<int>(static_cast<std::uint32_t>(before)), row);
      }
      slot = (slot + 1) & slot_mask;
    }
  }
  __device__ int find(DeviceWord cell, const int4&) const {
    std::uint32_t slot = first_slot(cell, slot_mask, group_shift);
    while (true) {
      const DeviceWord seen = __ldg(slots + slot);
      if (seen == empty) return no_row;
      if ((seen >> 32) == cell) return static_cast<int>(static_cast<std::uint32_t>(seen));
      slot = (slot + 1) & slot_mask;
    }
  }
};

struct WideTable {
  static constexpr DeviceWord empty = ~0ull;  // cells are numbered below 2^63
  static constexpr std::uint32_t empty_row = ~0u;
  DeviceWord* cells;
  std::uint32_t* rows;
  std::uint32_t slot_mask;
  int group_shift;

  __device__ int insert(DeviceWord cell, const int4&, int row) const {
    std::uint32_t slot = first_slot(cell, slot_mask, group_shift);
    while (true) {
      const DeviceWord seen = atomicCAS(cells + slot, empty, cell);
      if (seen == empty || seen == cell) {
        const std::uint32_t before = atomicMin(rows + slot, static_cast<std::uint32_t>(row));
        return before == empty_row ? no_row : max(static_cast<int>(before), row);
      }
      slot = (slot + 1) & slot_mask;
    }
  }
  __device__ int find(DeviceWord cell, const int4&) const {
    std::uint32_t slot = first_slot(cell, slot_mask, group_shift);
    while (true) {
      const DeviceWord seen = __ldg(cells + slot);
      if (seen == empty) return no_row;
      if (seen == cell) return static_cast<int>(__ldg(rows + slot));
      slot = (slot + 1) & slot_mask;
    }
  }
};

/// Cell numbers wrap modulo 2^64 here: they choose the slot, and the coordinates decide.
struct RowTable {
  static constexpr std::uint32_t empty = ~0u;
  std::uint32_t* rows;
  Coordinates coordinates;
  std::uint32_t slot_mask;
  int group_shift;

  __device__ bool holds(std::uint32_t row, const int4& coordinate) const {
    const int4 other = coordinates.load(row);
    return other.x == coordinate.x && other.y == coordinate.y && other.z == coordinate.z &&
           other.w == coordinate.w;
  }
  __device__ int insert(DeviceWord cell, const int4& coordinate, int row) const {
    std::uint32_t slot = first_slot(cell, slot_mask, group_shift);
    while (true) {
      const std::uint32_t seen = atomicCAS(rows + slot, empty, static_cast<std::uint32_t>(row));
      if (seen == empty) return no_row;
      if (holds(seen, coordinate)) {  // only rows of the same coordinate ever replace each other in a slot
        const std::uint32_t before = atomicMin(rows + slot, static_cast<std::uint32_t>(row));
        return max(static_cast<int>(before), row);
      }
      slot = (slot + 1) & slot_mask;
    }
  }
  __device__ int find(DeviceWord cell, const int4& coordinate) const {
    std::uint32_t slot = first_slot(cell, slot_mask, group_shift);
    while (true) {
      const std::uint32_t seen = __ldg(rows + slot);
      if (seen == empty) return no_row;
      if (holds(seen, coordinate)) return static_cast<int>(seen);
      slot = (slot + 1) & slot_mask;
    }
  }
};

}  // namespace flexgemm::detail
