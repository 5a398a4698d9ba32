#pragma once

#include <cstddef>
#include <cstdint>

#include <flexgemm/device.hpp>
#include <flexgemm/neighbor_map.hpp>

#include "cuda/place.hpp"

namespace flexgemm::detail {

/// How the hash table of coordinates tells two of them apart.
enum class TableKind : std::uint8_t {
  packed,  ///< at most 2^32 cells: 8-byte slots, the cell's number above, the row below
  wide,    ///< at most 2^63 cells: 8-byte cell numbers and, apart, 4-byte rows
  rows,    ///< beyond: 4-byte row numbers, whose coordinates are compared in memory
  blocks,  ///< many rows in fewer than 2^32 blocks of 4 x 4 x 4 cells: 16-byte slots and a list of rows
};

/// An open-addressing table with a power of two of slots, at least twice as many as rows; of blocks, of which
/// there are fewer than rows unless they lie far apart, five quarters of rows.
struct TableShape {
  TableKind kind = TableKind::packed;
  std::uint64_t slots = 0;
  std::size_t bytes = 0;
};

/// The table for `rows` >= 1 coordinates in `grid`.
TableShape table_shape(std::int64_t rows, const Grid& grid);

/// What building a map tells the host.
struct BuildCounters {
  /// Twice the lowest row that is outside the grid (even) or repeats the coordinate of a lower row (odd);
  /// all ones if there is none.
  unsigned long long offender;
  unsigned long long pairs;
};

struct MapBuild {
  const std::int32_t* coords;  // [rows, 4]
  std::int64_t rows;           // >= 1
  Grid grid;
  Extent3 kernel;
  Extent3 dilation;
  TableShape table_shape;
  void* table;
  std::int32_t* indices;    // [rows, V]
  BuildCounters* counters;  // directly after indices, aligned to 8 bytes
  /// On the device: rows from here on are not read and get no neighbors; null: all rows are there.
  const std::int32_t* live_rows = nullptr;
  /// [rows] filled with the rows' places, whose shape fits; null: nobody wants them.
  std::uint64_t* places = nullptr;
  PlaceShape place_shape = {};
};

/// Fills the table, the places and `counters->offender`: two memory fills and one kernel, three for a table
/// of blocks. With `symmetric` (see below) it also fills `indices` with -1, as it does when not all rows are
/// there.
void insert_coordinates(const MapBuild& build, bool symmetric, CUstream_st* stream);

/// Fills `indices` and `counters->pairs`: one kernel. `symmetric` looks up half of the offsets and writes the
/// other half as mirror images: right for odd extents and, because a mirror image is written to the one row
/// that the table holds for a coordinate, only if coordinates are unique. With duplicates it is still free of
/// out-of-bounds accesses. A table of blocks looks up all of them: it costs less than scattered writes.
void find_neighbors(const MapBuild& build, bool symmetric, CUstream_st* stream);

}  // namespace flexgemm::detail
