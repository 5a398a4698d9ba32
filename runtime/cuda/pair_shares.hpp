#pragma once

#include <cstdint>

#include <flexgemm/device.hpp>

#include "cuda/pair_part.hpp"

namespace flexgemm::detail {

/// The parts of a split grad_weight.
struct ShareBuild {
  PairLine line;
  int shares;                 // >= 1, which cover the line
  std::int32_t* share_begin;  // [shares + 1] first part
  PairPart* parts;            // [shares + groups - 1]
  std::int32_t* part_range;   // [groups, 2] first and end of the group's parts that have runs
};

/// Fills all arrays.
void share_pairs(const ShareBuild& build, CUstream_st* stream);

/// The parts of one that is not split: whole groups, those of most pairs first.
void list_groups(const std::int64_t* group_begin, int groups, PairPart* parts, CUstream_st* stream);

}  // namespace flexgemm::detail
