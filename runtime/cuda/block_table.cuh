#pragma once

// A hash table of blocks of 4 x 4 x 4 cells: which of its cells are there is a mask, and their rows lie one
// after the other in a list, as in the leaves of sparse voxel trees (Museth 2013, VDB). The 27 neighbors of a
// cell lie in 8 blocks at most, mostly in one or two, which a warp's rows share: lookups hit the caches where
// a table of cells goes to memory for each.
//
// Filled in three steps, each a kernel of its own: insert() all cells, allocate() all slots, place() all
// rows. What it leaves behind does not depend on the order of threads, but for where in the list a block
// lies.

#include <cstdint>

#include "cuda/coordinate_table.cuh"

namespace flexgemm::detail {

struct BlockTable {
  static constexpr std::uint32_t empty = ~0u;  // block numbers are below it

  struct alignas(16) Slot {
    std::uint32_t block;
    std::uint32_t first;  // of its rows in the list
    DeviceWord absent;    // a bit for each cell that is not there
  };

  Slot* slots;
  std::uint32_t* list;       // [rows] by block and cell, filled with `empty`
  std::uint32_t* allocated;  // entries of the list that blocks have, less one
  std::uint32_t slot_mask;
  int shift;
  unsigned blocks_x, blocks_y, blocks_z;

  __device__ std::uint32_t block_of(const int4& at) const {
    return ((static_cast<unsigned>(at.x) * blocks_x + (static_cast<unsigned>(at.y) >> 2)) * blocks_y +
            (static_cast<unsigned>(at.z) >> 2)) *
               blocks_z +
           (static_cast<unsigned>(at.w) >> 2);
  }
  __device__ static int cell_of(const int4& at) { return (at.y & 3) << 4 | (at.z & 3) << 2 | (at.w & 3); }
  __device__ std::uint32_t start(std::uint32_t block) const {
    return static_cast<std::uint32_t>(mix(block) >> shift) & slot_mask;
  }
  /// Place in the list of a cell that is there.
  __device__ static std::uint32_t position(std::uint32_t first, DeviceWord absent, int cell) {
    return first + static_cast<std::uint32_t>(__popcll(~absent & ((1ull << cell) - 1)));
  }

  /// Enters the coordinate's cell. Whether it was there already is for place() to say.
  __device__ int insert(DeviceWord, const int4& at, int) const {
    const std::uint32_t block = block_of(at);
    std::uint32_t slot = start(block);
    while (true) {
      const std::uint32_t seen = atomicCAS(&slots[slot].block, empty, block);
      if (seen == empty || seen == block) {
        atomicAnd(&slots[slot].absent, ~(1ull << cell_of(at)));
        return no_row;
      }
      slot = (slot + 1) & slot_mask;
    }
  }

  /// no_row, or the larger row of the two that have this coordinate.
  __device__ int place(const int4& at, int row) const {
    const std::uint32_t block = block_of(at);
    std::uint32_t slot = start(block);
    while (slots[slot].block != block) slot = (slot + 1) & slot_mask;
    const std::uint32_t before = atomicMin(
        list + position(slots[slot].first, slots[slot].absent, cell_of(at)), static_cast<std::uint32_t>(row));
    return before == empty ? no_row : max(static_cast<int>(before), row);
  }

  __device__ int find(DeviceWord, const int4& at) const {
    const std::uint32_t block = block_of(at);
    const int cell = cell_of(at);
    std::uint32_t slot = start(block);
    while (true) {
      const uint4 seen = __ldg(reinterpret_cast<const uint4*>(slots + slot));
      if (seen.x == block) {
        const DeviceWord absent = static_cast<DeviceWord>(seen.w) << 32 | seen.z;
        if ((absent >> cell & 1) != 0) return no_row;
        return static_cast<int>(__ldg(list + position(seen.y, absent, cell)));
      }
      if (seen.x == empty) return no_row;
      slot = (slot + 1) & slot_mask;
    }
  }
};

}  // namespace flexgemm::detail
