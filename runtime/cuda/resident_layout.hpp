#pragma once

#include <compare>
#include <cstdint>
#include <memory>

#include "cuda/cuda_device.hpp"
#include "cuda/device_array.hpp"
#include "cuda/event.hpp"
#include "cuda/place.hpp"
#include "cuda/tile_layout.hpp"

namespace flexgemm::detail {

inline constexpr std::int64_t most_resident_rows = (std::int64_t{1} << 29) - 1;

/// Names one resident layout of a map.
struct ResidentKey {
  int block_rows = 0;  ///< R: a multiple of 64, 64 to 512
  int capacity = 0;    ///< D: most input rows that a block holds at once, R to 8190
  friend auto operator<=>(const ResidentKey&, const ResidentKey&) noexcept = default;
};

/// A map's rows by their places (place.hpp), shared by its resident layouts. Immutable once built.
struct PlaceOrder {
  DeviceArray<std::int32_t> rows;  // [map rows]
  Event ready;
};

/// Rows in blocks of `block_rows` that lie close in space, so that their inputs are few: each block copies
/// the distinct rows that it reads into its shared memory once and gathers from there. Immutable once built.
///
/// Blocks are runs of the rows by place; within a block rows are in the Gray order of their masks, stably;
/// within each whole run of 16 of these they are dealt by color to the first and the last 8. The color of a
/// row at (x, y, z) is (x + 2y + 5z) mod 8: kernels keep a row's 16-byte pieces in an order that depends on
/// it, and rows of distinct colors are read without bank conflicts.
///
/// Where a block has more distinct inputs than the capacity its offsets are cut, ascending and greedily, into
/// phases. A position counts the rows in shared memory during a phase: 0 is a row of zeros, 1 + i is input i.
struct ResidentLayout {
  int block_rows = 0;
  int capacity = 0;
  std::int64_t blocks = 0;
  std::int64_t phases = 0;                ///< at least one a block
  std::int64_t input_rows = 0;            ///< of all phases
  DeviceArray<std::int32_t> order;        // [blocks * block_rows] row; -1 at the end of the last block
  DeviceArray<std::uint32_t> masks;       // [blocks * block_rows / 16] offsets that one of 16 slots has
  DeviceArray<std::uint16_t> locals;      // [blocks, V, block_rows] position of the neighbor | color << 13;
                                          // without one, 0 and the slot's own color (no row: slot mod 8)
  DeviceArray<std::int32_t> phase_begin;  // [blocks + 1] first phase of a block
  DeviceArray<std::uint32_t> phase_offsets;  // [phases] mask of a phase's offsets, those that the block has
  DeviceArray<std::int64_t> input_begin;     // [phases + 1] first input of a phase
  DeviceArray<std::uint32_t> inputs;         // [input_rows] row | color << 29, ascending by row in a phase
  Event ready;
};

/// What resident layouts are made from: a map that `stream` has been made to wait for.
struct ResidentLayoutSource {
  LayoutSource map;             // at most 32 offsets and most_resident_rows
  const std::uint64_t* places;  // [rows]
  PlaceShape place_shape;
};

std::shared_ptr<const PlaceOrder> build_place_order(const ResidentLayoutSource& source, Stream stream);

/// Builds a layout on `stream` and waits for it once, to learn the number of inputs; `order` must be the
/// map's, and waited for. Throws Error{internal} for a key outside its ranges.
std::shared_ptr<const ResidentLayout> build_resident_layout(const ResidentLayoutSource& source,
                                                            const ResidentKey& key, const PlaceOrder& order,
                                                            Stream stream);

}  // namespace flexgemm::detail
