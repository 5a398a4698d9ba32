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
  /// Positions of all but the kernel's centre, which every row of a submanifold map has, by significance: the
  /// farthest from the centre first, of equal ones the higher offset. Far offsets are the rarest; runs of
  /// rows that lack them all leave less waste than the order of offsets does (docs/performance.md).
  std::int8_t significance[31] = {};
};
MaskOffsets mask_offsets(const Extent3& kernel);

/// Groups of offsets with a row order each: group g of `groups` has the offsets [group_begin(g),
/// group_begin(g + 1)).
constexpr int group_begin(int volume, int groups, int group) noexcept { return volume * group / groups; }
/// The offsets of a group as a mask; for one group every bit.
std::uint32_t group_mask(int volume, int groups, int group) noexcept;
/// The masks of all groups, as kernels take them.
struct GroupMasks {
  std::uint32_t mask[32] = {};
  int count = 1;
};
GroupMasks group_masks(int volume, int groups);

/// Sort key of a row: its group above, then its block of rows, below them the rank of its mask read as a Gray
/// code.
struct RowKey {
  int rank_bits = 0;
  int block_bits = 0;
  int group_bits = 0;
  std::int64_t block_rows = 0;
  int bits() const noexcept { return rank_bits + block_bits + group_bits; }
};
/// One block for all rows below a million, and where there are groups; above it, blocks of about 65,536 rows,
/// so that the rows that a tile gathers stay near each other and in L2 (DESIGN.md, lever 4).
RowKey row_key(const MaskOffsets& offsets, std::int64_t rows, int volume, int groups);

/// Writes `order` [rows + order_padding] as 0, 1, ..., rows - 1, -1, -1, ...
/// With `live_rows`, on the device, -1 from there on.
void write_natural_order(std::int64_t rows, const std::int32_t* live_rows, std::int32_t* order,
                         CUstream_st* stream);

struct RowSort {
  const std::int32_t* indices;  // [rows, volume]
  std::int64_t rows;            // >= 1
  int volume;
  int groups;
  MaskOffsets offsets;
  RowKey key;
  std::uint32_t* masks;    // [rows]
  std::uint32_t* keys[2];  // [groups * rows] each
  std::int32_t* order[2];  // [groups * rows + order_padding] each
  void* scratch;
  std::size_t scratch_bytes;
  /// On the device: rows from here on come last and are -1 in the order; null: all rows are there.
  const std::int32_t* live_rows = nullptr;
};
/// Bytes of `scratch` that `sort_rows` needs.
std::size_t row_sort_scratch(std::int64_t rows, int groups, const RowKey& key);
/// Computes the masks and sorts the rows of every group, stably, by their keys: group after group. Returns
/// which of the two `order`s holds the result.
int sort_rows(const RowSort& sort, CUstream_st* stream);

/// Spreads group after group of `rows` rows so that each fills whole tiles: padded [groups, slots], -1 past
/// the last row of a group. Group g's rows begin at order[g * group_stride]: 0 if all have the same order.
void pad_groups(const std::int32_t* order, std::int64_t rows, int groups, std::int64_t group_stride,
                std::int64_t slots, std::int32_t* padded, CUstream_st* stream);

}  // namespace flexgemm::detail
