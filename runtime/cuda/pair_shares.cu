#include "cuda/launch.hpp"
#include "cuda/pair_shares.hpp"

namespace flexgemm::detail {

namespace {

constexpr int threads_per_block = 256;

__global__ void __launch_bounds__(threads_per_block)
    share_pairs_kernel(const __grid_constant__ ShareBuild build) {
  const int share = static_cast<int>(blockIdx.x) * threads_per_block + static_cast<int>(threadIdx.x);
  const PairLine& line = build.line;
  if (share >= build.shares) return;
  const bool is_last = share == build.shares - 1;
  const int last = is_last ? line.groups - 1 : line.first_group(share + 1);
  int group = line.first_group(share);
  build.share_begin[share] = share + group;
  if (is_last) build.share_begin[build.shares] = share + line.groups;
  for (; group <= last; ++group) build.parts[share + group] = line.part(share, group);
}

__global__ void __launch_bounds__(threads_per_block)
    part_range_kernel(const __grid_constant__ ShareBuild build) {
  const int group = static_cast<int>(blockIdx.x) * threads_per_block + static_cast<int>(threadIdx.x);
  const PairLine& line = build.line;
  if (group >= line.groups) return;
  const std::int64_t from = line.begin(group), to = line.end(group);
  build.part_range[2 * group] = from < to ? group + line.share_at(from) : 0;
  build.part_range[2 * group + 1] = from < to ? group + line.share_at(to - 1) + 1 : 0;
}

/// One block.
__global__ void __launch_bounds__(threads_per_block)
    list_groups_kernel(const std::int64_t* group_begin, int groups, PairPart* parts) {
  const auto blocks = [&](int group) { return group_begin[group + 1] - group_begin[group]; };
  for (int group = static_cast<int>(threadIdx.x); group < groups; group += threads_per_block) {
    int rank = 0;
    for (int other = 0; other < groups; ++other)
      rank += blocks(other) > blocks(group) || (blocks(other) == blocks(group) && other < group);
    parts[rank] = PairLine{group_begin, groups, std::numeric_limits<std::int32_t>::max()}.part(0, group);
  }
}

}  // namespace

void share_pairs(const ShareBuild& build, CUstream_st* stream) {
  launch("sharing pairs", share_pairs_kernel, ceil_div(build.shares, threads_per_block), threads_per_block, 0,
         stream, build);
  launch("finding parts of groups", part_range_kernel, ceil_div(build.line.groups, threads_per_block),
         threads_per_block, 0, stream, build);
}

void list_groups(const std::int64_t* group_begin, int groups, PairPart* parts, CUstream_st* stream) {
  launch("listing groups of offsets", list_groups_kernel, 1, threads_per_block, 0, stream, group_begin,
         groups, parts);
}

}  // namespace flexgemm::detail
