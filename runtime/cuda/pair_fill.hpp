#pragma once

#include <cstddef>
#include <cstdint>

#include <flexgemm/device.hpp>

namespace flexgemm::detail {

/// Pairs of a block of a list, and of the unit that groups are padded to with -1.
inline constexpr std::int64_t pairs_a_block = 32;
inline constexpr std::int64_t padded_pairs = 64;

/// Building a list of the rows that have one of a group's offsets: count, scan, then fill.
struct PairBuild {
  const std::int32_t* indices;  // [rows, volume]
  std::int64_t rows;            // >= 1
  int volume;
  int offsets;
  int groups;
  std::int64_t row_blocks;        // row_blocks_of(rows)
  std::int32_t* counts;           // [groups * row_blocks + 1] rows of a block in a group's list; the last 0
  std::int64_t* positions;        // [groups * row_blocks + 1] their exclusive sums
  std::int64_t* group_begin;      // [groups + 1]
  std::int32_t* pairs = nullptr;  // [blocks, 1 + offsets, 32]
};
std::int64_t row_blocks_of(std::int64_t rows);

/// Fills `counts`, `positions` and `group_begin`.
std::size_t pair_scan_scratch(const PairBuild& build);
void count_pairs(const PairBuild& build, void* scratch, std::size_t scratch_bytes, CUstream_st* stream);
/// Fills `pairs`.
void fill_pairs(const PairBuild& build, CUstream_st* stream);

/// The lists that hold every row, with the neighbors of `indices`, or each row's own number without
/// (`indices` null, one group of one offset). Fills `group_begin` and `pairs`.
void write_every_pair(const PairBuild& build, CUstream_st* stream);

}  // namespace flexgemm::detail
