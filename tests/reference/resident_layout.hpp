#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <flexgemm/neighbor_map.hpp>

#include "reference/reference.hpp"

/// The resident layout, built on the host with standard containers: what the builder on the GPU is compared
/// with, and what emulated kernels run on. Shares no code with the library.
namespace flexgemm::reference {

/// Rows in blocks of `block_rows` that are close in space, with the distinct input rows that each block
/// reads. A position counts the rows in a block's shared memory: 0 is a row of zeros, input i of a phase has
/// 1 + i.
struct ResidentLayout {
  int block_rows = 0;                     ///< R: 64 to 512, a multiple of 64
  int capacity = 0;                       ///< D: most distinct inputs of a phase, R to 8190
  int volume = 0;                         ///< V: 1 to 32
  std::int64_t blocks = 0;                ///< ceil(rows / R)
  std::vector<std::int32_t> order;        ///< [blocks * R] row of a slot; -1 at the end of the last block
  std::vector<std::uint32_t> masks;       ///< [blocks * R / 16] offsets that one of 16 slots has
  std::vector<std::uint16_t> locals;      ///< [blocks, V, R] position of the neighbor | its color << 13
  std::vector<std::int32_t> phase_begin;  ///< [blocks + 1] first phase of a block; a block has at least one
  std::vector<std::uint32_t> phase_offsets;  ///< [phases] mask of the offsets of a phase that the block has
  std::vector<std::int64_t> input_begin;     ///< [phases + 1] first input of a phase
  std::vector<std::uint32_t> inputs;         ///< row | color << 29, ascending by row within a phase
};

/// Color of a row at (x, y, z), coords [rows, 4] clamped to the grid: (x + 2y + 5z) mod 8.
std::uint32_t resident_color(const std::int32_t* coords, const Grid& grid, std::int64_t row);

/// The layout of a map of a kernel of at most 32 offsets. coords [map.rows, 4]; rows outside the grid are
/// placed at its border. Throws std::invalid_argument for values that no layout has.
ResidentLayout resident_layout(const std::int32_t* coords, const Grid& grid, const MapView& map,
                               const Extent3& kernel, int block_rows, int capacity);

/// What is wrong with a layout of this map, or an empty string: sizes; every row in one slot; positions lead
/// through the inputs to exactly the map's neighbors; colors; inputs ascending and no more than the capacity;
/// phases have every offset of their block once; masks. Says nothing about the order of the rows.
std::string defect(const ResidentLayout& layout, const std::int32_t* coords, const Grid& grid,
                   const MapView& map);

}  // namespace flexgemm::reference
