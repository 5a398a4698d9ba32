#pragma once

#include <cstdint>
#include <vector>

#include "reference/reference.hpp"
#include "runtime/cuda/pair_part.hpp"

// The operands that kernels read a map from (templates/parameters.cuh), built the obvious way.

namespace flexgemm::emulator {

struct Map {
  std::vector<std::int32_t> indices;  ///< [rows, volume]
  std::int64_t rows;
  int volume;
  reference::MapView view() const { return {indices.data(), rows, volume}; }
};

/// A map of a small scene with `volume` offsets: 1, a cube's, or any other number of random neighbors.
Map make_map(std::int64_t rows, int volume, std::uint64_t seed);

struct TileLayout {
  std::vector<std::int32_t> order;
  std::vector<std::int64_t> tile_begin;
  std::vector<std::int32_t> step_offset;
  std::vector<std::int32_t> step_rows;
  std::vector<std::int32_t> tile_order;
  int tiles = 0;
};

/// Rows by the sets of offsets that they have, so that tiles differ in their steps; one more tile, without a
/// row, at the end, as a frame below its capacity has; tiles in random order.
TileLayout tile_layout(const Map& map, int row_tile, std::uint64_t seed);

struct PairLayout {
  std::vector<std::int64_t> group_begin;
  std::vector<std::int32_t> pairs;
  std::vector<detail::PairPart> whole_parts;  // of the groups, in drawn order
  std::vector<detail::PairPart> parts;        // of the shares
  std::vector<std::int32_t> share_begin;
  int groups = 0;
  int shares = 0;
};

/// Pairs of groups of `offsets` offsets, cut into shares whose length is drawn.
PairLayout pair_layout(const Map& map, int offsets, std::uint64_t seed);

}  // namespace flexgemm::emulator
