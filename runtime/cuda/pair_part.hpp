#pragma once

#include <cstdint>
#include <limits>

#if defined(__CUDACC__)
#define FLEXGEMM_HOST_DEVICE __host__ __device__
#else
#define FLEXGEMM_HOST_DEVICE
#endif

namespace flexgemm::detail {

/// Blocks of 32 pairs of a run, the unit in which the lists of grad_weight's groups are shared.
inline constexpr std::int64_t blocks_a_run = 2;

/// What a share has of a group's runs, as grad_weight reads it: its run i is number first_run + i * stride +
/// min(i, with_tail) + max(i - before_head, 0) of the list.
struct PairPart {
  std::int32_t stride = 0;  // parts of the group that go with it all along, itself among them
  std::int32_t with_tail = 0;
  std::int32_t before_head = 0;
  std::int32_t first_run = 0;
  std::int32_t group = 0;
  std::int32_t runs = 0;
  std::int32_t unused[2] = {};

  FLEXGEMM_HOST_DEVICE std::int64_t run(std::int32_t i) const {
    return first_run + std::int64_t{i} * stride + (i < with_tail ? i : with_tail) +
           (i > before_head ? i - before_head : 0);
  }
};
static_assert(sizeof(PairPart) == 32);

/// The runs of all groups on a line, group after group, with a gap between groups as long as it takes to
/// begin another part. A share is `length` places of that line; what it has of a group is a part: shares +
/// groups - 1 of them, some at the ends of groups without runs. Part `share + group` is that of a share and a
/// group.
struct PairLine {
  /// What it takes to begin another part, in runs: its sums leave and the pipeline fills anew. 0 and 12 were
  /// no better on an H200 (docs/performance.md).
  static constexpr std::int64_t gap = 4;

  const std::int64_t* group_begin;  // [groups + 1] first block of 32 pairs; groups begin at even blocks
  int groups;
  std::int64_t length;  // >= 1

  static constexpr std::int64_t places(std::int64_t runs, int groups) { return runs + (groups - 1) * gap; }

  FLEXGEMM_HOST_DEVICE std::int64_t begin(int group) const {
    return group_begin[group] / blocks_a_run + group * gap;
  }
  FLEXGEMM_HOST_DEVICE std::int64_t end(int group) const {
    return group_begin[group + 1] / blocks_a_run + group * gap;
  }
  /// The share that has a place.
  FLEXGEMM_HOST_DEVICE int share_at(std::int64_t place) const { return static_cast<int>(place / length); }
  /// The group in which a share begins, where the one before it ends: the last that begins at or before its
  /// first place.
  FLEXGEMM_HOST_DEVICE int first_group(int share) const {
    int group = 0;
    for (int width = groups; width > 1;) {
      const int half = width / 2;
      if (begin(group + half) <= share * length) group += half;
      width -= half;
    }
    return group;
  }

  /// Which of its group's runs a part gets follows from when it gets to them, if all shares begin together
  /// and take a run a step: the runs go to the parts in the order of steps, so that all parts move through
  /// the rows together and share what they gather in L2. Of the group's parts the first, or head, may begin
  /// late, because its share ends another group before, and the last, or tail, may end early; the others,
  /// whole, take a run in every step. In a step the whole parts come first, then the tail, then the head.
  FLEXGEMM_HOST_DEVICE PairPart part(int share, int group) const {
    PairPart part;
    part.group = group;
    const std::int64_t from = begin(group), to = end(group);
    const std::int64_t share_begin = share * length, share_end = share_begin + length;
    if (from >= to || share_begin >= to || share_end <= from) return part;
    const std::int64_t group_run = group_begin[group] / blocks_a_run;
    const int first = share_at(from), last = share_at(to - 1);
    if (first == last) {
      part.stride = 1;
      part.before_head = static_cast<std::int32_t>(to - from);
      part.first_run = static_cast<std::int32_t>(group_run);
      part.runs = static_cast<std::int32_t>(to - from);
      return part;
    }
    const std::int64_t head_step = from - first * length;           // 0: no head
    const std::int64_t tail_steps = (to - last * length) % length;  // 0: no tail
    const int first_whole = first + (head_step > 0 ? 1 : 0);
    const int whole = last + (tail_steps > 0 ? 0 : 1) - first_whole;
    const bool is_head = head_step > 0 && share == first;
    const bool is_tail = tail_steps > 0 && share == last;
    // In step t the group has behind it whole * t + min(t, tail_steps) + max(t - head_step, 0) runs, and the
    // head's is preceded by the tail's in every step that has one: min(t + 1, tail_steps).
    const std::int64_t begins = is_head ? head_step : 0;
    const std::int64_t ahead = is_head ? 1 : 0;
    part.stride = whole;
    part.with_tail = static_cast<std::int32_t>(tail_steps - begins - ahead);
    part.before_head = static_cast<std::int32_t>(head_step > 0 ? head_step - begins : length);
    part.first_run = static_cast<std::int32_t>(group_run + whole * begins + begins + ahead +
                                               (is_head || is_tail ? whole : share - first_whole));
    part.runs = static_cast<std::int32_t>(is_tail ? tail_steps : length - begins);
    return part;
  }
};

}  // namespace flexgemm::detail
