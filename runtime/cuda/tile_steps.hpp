#pragma once

#include <cstddef>
#include <cstdint>

#include <flexgemm/device.hpp>

#include "cuda/row_order.hpp"

namespace flexgemm::detail {

/// Tallest row tile that the layout kernels serve.
inline constexpr int max_row_tile = 256;

/// Words of a tile's mask of V offsets.
constexpr int mask_words(int volume) noexcept { return (volume + 31) / 32; }

/// Which offsets each tile visits: the OR over its rows.
struct TileCount {
  const std::int32_t* indices;  // [rows, volume]
  const std::int32_t* order;    // [tiles * row_tile], -1: none
  const std::uint32_t* masks;   // [rows] masks of all offsets, or nullptr: read them from indices
  int volume;
  int row_tile;
  std::int64_t tiles;  // of all groups
  std::int64_t tiles_per_group;
  GroupMasks
      groups;  // of offsets, which tiles of a group keep to; more than one needs `masks` or every_offset
  bool every_offset;          // tiles visit every offset of their group, masks or not
  bool group_major;           // keys put the tiles of one group after those of the one before
  std::uint32_t* tile_masks;  // [tiles, mask_words(volume)]
  std::int64_t* steps;        // [tiles + 1] steps of a tile; the last is 0
  std::uint32_t* keys;  // [tiles] volume - steps, below the group; or nullptr if tiles are not to be sorted
  std::int32_t* tiles_in_order;  // [tiles] 0, 1, ..., with `keys`
};
void count_steps(const TileCount& count, CUstream_st* stream);

/// tile_begin[t] = steps[0] + ... + steps[t - 1] for t = 0 ... tiles.
std::size_t scan_scratch(std::int64_t tiles);
void scan_steps(const std::int64_t* steps, std::int64_t tiles, std::int64_t* tile_begin, void* scratch,
                std::size_t scratch_bytes, CUstream_st* stream);

/// Heavy tiles first, equal ones in their natural order: a stable sort by ascending `keys`.
std::size_t tile_sort_scratch(std::int64_t tiles, int volume, int groups);
void sort_tiles(const std::uint32_t* keys, std::uint32_t* sorted_keys, const std::int32_t* tiles_in_order,
                std::int32_t* tile_order, std::int64_t tiles, int volume, int groups, void* scratch,
                std::size_t scratch_bytes, CUstream_st* stream);

/// Writes the steps of every tile in ascending order of offsets.
struct StepFill {
  const std::int32_t* indices;      // [rows, volume]
  const std::int32_t* order;        // [tiles * row_tile], -1: none
  const std::uint32_t* tile_masks;  // [tiles, mask_words(volume)], or nullptr: every tile has every offset
  const std::int64_t* tile_begin;   // [tiles + 1]
  int volume;
  int row_tile;
  std::int64_t tiles;
  std::int32_t* step_offset;  // [steps]
  std::int32_t* step_rows;    // [steps, row_tile]
};
void fill_steps(const StepFill& fill, CUstream_st* stream);

/// tile_begin[t] = t * steps_per_tile for t = 0 ... tiles: the layouts whose tiles are all alike. With
/// `live_rows`, on the device, tiles of `row_tile` rows behind them have no steps.
void write_even_tiles(std::int64_t tiles, int steps_per_tile, const std::int32_t* live_rows, int row_tile,
                      std::int64_t* tile_begin, CUstream_st* stream);

/// The layout of a dense GEMM: order and step_rows [tiles * row_tile] are 0, 1, ..., rows - 1, -1, ...; each
/// tile has the one step 0 of offset 0.
void write_identity(std::int64_t rows, int row_tile, std::int64_t tiles, std::int32_t* step_rows,
                    std::int32_t* step_offset, std::int64_t* tile_begin, CUstream_st* stream);

}  // namespace flexgemm::detail
