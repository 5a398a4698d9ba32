#pragma once

#include <compare>
#include <cstdint>
#include <memory>

#include "cuda/cuda_device.hpp"
#include "cuda/device_array.hpp"
#include "cuda/event.hpp"
#include "cuda/pair_part.hpp"
#include "cuda/tile_layout.hpp"

namespace flexgemm::detail {

/// Which rows the pair list of a group of kernel offsets holds, always in ascending order.
enum class PairKind : std::uint8_t {
  every,     ///< every row, whether it has one of the offsets or not
  valid,     ///< the rows that have at least one of the offsets
  identity,  ///< the dense GEMM of explicit_gemm: row r of one operand meets row r of the other
};

/// Names one pair list of a map.
struct PairKey {
  PairKind kind = PairKind::valid;
  int offsets = 1;        ///< kernel offsets a group
  std::int64_t rows = 0;  ///< the map's rows; for identity those of the chunk
  friend auto operator<=>(const PairKey&, const PairKey&) noexcept = default;
};

/// The arrays of GradWeightParameters that describe pairs. Immutable once built.
struct PairList {
  int offsets = 1;
  int groups = 0;
  std::int64_t blocks = 0;                // of 32 pairs, over all groups
  DeviceArray<std::int64_t> group_begin;  // [groups + 1] first block; groups begin at even blocks
  DeviceArray<PairPart> parts;            // [groups] those of most pairs first
  DeviceArray<std::int32_t> pairs;        // [blocks, 1 + offsets, 32]
  Event ready;
};

/// The pairs of a list cut into shares, as pair_part.hpp says: the arrays of ShareBuild. Immutable once
/// built.
struct ShareTable {
  int shares = 0;
  int part_count = 0;
  DeviceArray<std::int32_t> share_begin;
  DeviceArray<PairPart> parts;
  DeviceArray<std::int32_t> part_range;
  Event ready;
};

std::shared_ptr<const ShareTable> build_share_table(const CudaDevice& device, const PairList& list,
                                                    int shares, Stream stream);

/// Builds a list on `stream`. The valid kind waits for the stream once, to learn the number of pairs.
std::shared_ptr<const PairList> build_pair_list(const LayoutSource& source, const PairKey& key,
                                                Stream stream);

}  // namespace flexgemm::detail
