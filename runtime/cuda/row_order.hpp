#pragma once

#include <cstddef>
#include <cstdint>

#include <flexgemm/device.hpp>
#include <flexgemm/neighbor_map.hpp>

namespace flexgemm::detail {

/// Elements by which an order is longer than its rows: all -1, so that tiles of any height up to this one may
/// run past the last row.
inline constexpr std::int64_t order_padding = 256;

/// The offsets whose presence makes up the 32-bit mask that rows are ordered by: all of a kernel of at most
/// 32 offsets, else the 32 nearest to the kernel's centre (Euclidean distance in taps; of equal ones the
/// lower offset), ascending.
struct MaskOffsets {
  std::int16_t offset[32] = {};
  int count = 0;
  int centre = 0;  ///< position of the kernel's centre among them
};
MaskOffsets mask_offsets(const Extent3& kernel);

/// Sort key of a row: its block of rows above, below it the rank of its mask read as a Gray code. The
/// centre's bit is left out, because every row of a submanifold map has it.
struct RowKey {
  int rank_bits = 0;
  int block_bits = 0;
  std::int64_t block_rows = 0;
};
/// One block for all rows below a million; above it, blocks of about 65,536 rows, so that the rows that a
/// tile gathers stay near each other and in L2 (DESIGN.md, lever 4).
RowKey row_key(const MaskOffsets& offsets, std::int64_t rows);

/// Writes `order` [rows + order_padding] as 0, 1, ..., rows - 1, -1, -1, ...
/// With `live_rows`, on the device, -1 from there on.
void write_natural_order(std::int64_t rows, const std::int32_t* live_rows, std::int32_t* order,
                         CUstream_st* stream);

struct RowSort {
  const std::int32_t* indices;  // [rows, volume]
  std::int64_t rows;            // >= 1
  int volume;
  MaskOffsets offsets;
  RowKey key;
  std::uint32_t* masks;    // [rows]
  std::uint32_t* keys[2];  // [rows] each
  std::int32_t* order[2];  // [rows + order_padding] each
  void* scratch;
  std::size_t scratch_bytes;
  /// On the device: rows from here on come last and are -1 in the order; null: all rows are there.
  const std::int32_t* live_rows = nullptr;
};
/// Bytes of `scratch` that `sort_rows` needs.
std::size_t row_sort_scratch(std::int64_t rows, const RowKey& key);
/// Computes the masks and sorts the rows, stably, by their keys. Returns which of the two `order`s holds the
/// result.
int sort_rows(const RowSort& sort, CUstream_st* stream);

}  // namespace flexgemm::detail
