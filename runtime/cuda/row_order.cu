#include <cub/device/device_radix_sort.cuh>

#include "cuda/gray_rank.cuh"
#include "cuda/launch.hpp"
#include "cuda/row_order.hpp"

namespace flexgemm::detail {

namespace {

constexpr int threads_per_block = 256;
constexpr unsigned whole_warp = 0xffffffffu;

__global__ void __launch_bounds__(threads_per_block)
    natural_order_kernel(std::int64_t rows, const std::int32_t* live_rows, std::int32_t* order) {
  const std::int64_t slot = static_cast<std::int64_t>(blockIdx.x) * threads_per_block + threadIdx.x;
  const std::int64_t live = live_rows == nullptr ? rows : *live_rows;
  if (slot < rows + order_padding) order[slot] = slot < live ? static_cast<int>(slot) : -1;
}

/// One warp makes the keys of 32 rows: its lanes are the offsets while it reads, and the rows while it
/// writes.
__global__ void __launch_bounds__(threads_per_block)
    row_keys_kernel(const std::int32_t* __restrict__ indices, std::int64_t rows, int volume,
                    const std::int32_t* live_rows, const __grid_constant__ MaskOffsets offsets,
                    const __grid_constant__ GroupMasks groups, RowKey key, std::uint32_t* masks,
                    std::uint32_t* keys, std::int32_t* order_a, std::int32_t* order_b) {
  const std::int64_t thread = static_cast<std::int64_t>(blockIdx.x) * threads_per_block + threadIdx.x;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t first_row = thread - lane;
  const int offset = lane < offsets.count ? offsets.offset[lane] : -1;
  std::uint32_t mask = 0;
#pragma unroll 8
  for (int r = 0; r < 32; ++r) {
    const std::int64_t row = first_row + r;
    const bool present = offset >= 0 && row < rows && __ldg(indices + row * volume + offset) >= 0;
    const std::uint32_t row_mask = __ballot_sync(whole_warp, present);
    if (lane == r) mask = row_mask;
  }
  if (thread < rows) {
    masks[thread] = mask;
    const auto block = static_cast<std::uint32_t>(key.block_bits == 0 ? 0 : thread / key.block_rows);
    // A row that is not there has no neighbors; the largest key of a group brings it behind the others, those
    // of the same key too, because its number is higher.
    const bool live = live_rows == nullptr || thread < *live_rows;
    const std::uint32_t ranks = key.rank_bits >= 32 ? 0xffffffffu : (1u << key.rank_bits) - 1u;
    for (int group = 0; group < groups.count; ++group) {
      const std::uint32_t rank = live ? gray_rank(mask, groups.mask[group], offsets) : ranks;
      std::uint32_t above = key.group_bits == 0 ? block : static_cast<std::uint32_t>(group);
      if (!live && key.group_bits == 0) above = (1u << key.block_bits) - 1u;
      // Rank bits are fewer than 32 wherever there is something above them.
      keys[group * rows + thread] = above == 0 ? rank : (above << key.rank_bits) | rank;
      order_a[group * rows + thread] = live ? static_cast<int>(thread) : -1;
    }
  } else if (thread < rows + order_padding) {
    const std::int64_t padding = (groups.count - 1) * rows + thread;
    order_a[padding] = -1;  // the sort leaves both paddings alone
    order_b[padding] = -1;
  }
}

__global__ void __launch_bounds__(threads_per_block)
    pad_groups_kernel(const std::int32_t* order, std::int64_t rows, int groups, std::int64_t group_stride,
                      std::int64_t slots, std::int32_t* padded) {
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * threads_per_block + threadIdx.x;
  if (at >= groups * slots) return;
  const std::int64_t group = at / slots;
  const std::int64_t slot = at - group * slots;
  padded[at] = slot >= rows ? -1 : order[group * group_stride + slot];
}

cudaError_t radix_sort(void* scratch, std::size_t& scratch_bytes, cub::DoubleBuffer<std::uint32_t>& keys,
                       cub::DoubleBuffer<std::int32_t>& order, std::int64_t items, const RowKey& key,
                       CUstream_st* stream) {
  return cub::DeviceRadixSort::SortPairs(scratch, scratch_bytes, keys, order,
                                         static_cast<std::uint64_t>(items), 0, key.bits(), stream);
}

}  // namespace

void write_natural_order(std::int64_t rows, const std::int32_t* live_rows, std::int32_t* order,
                         CUstream_st* stream) {
  launch("writing the natural row order", natural_order_kernel,
         ceil_div(rows + order_padding, threads_per_block), threads_per_block, 0, stream, rows, live_rows,
         order);
}

std::size_t row_sort_scratch(std::int64_t rows, int groups, const RowKey& key) {
  cub::DoubleBuffer<std::uint32_t> keys;
  cub::DoubleBuffer<std::int32_t> order;
  std::size_t bytes = 0;
  require_success(radix_sort(nullptr, bytes, keys, order, rows * groups, key, nullptr),
                  "sizing the sort of rows");
  return bytes;
}

int sort_rows(const RowSort& sort, CUstream_st* stream) {
  launch("computing row masks", row_keys_kernel, ceil_div(sort.rows + order_padding, threads_per_block),
         threads_per_block, 0, stream, sort.indices, sort.rows, sort.volume, sort.live_rows, sort.offsets,
         group_masks(sort.volume, sort.groups), sort.key, sort.masks, sort.keys[0], sort.order[0],
         sort.order[1]);
  if (sort.key.bits() == 0) return 0;
  cub::DoubleBuffer<std::uint32_t> keys(sort.keys[0], sort.keys[1]);
  cub::DoubleBuffer<std::int32_t> order(sort.order[0], sort.order[1]);
  std::size_t bytes = sort.scratch_bytes;
  require_success(radix_sort(sort.scratch, bytes, keys, order, sort.rows * sort.groups, sort.key, stream),
                  "sorting rows by mask");
  return order.selector;
}

void pad_groups(const std::int32_t* order, std::int64_t rows, int groups, std::int64_t group_stride,
                std::int64_t slots, std::int32_t* padded, CUstream_st* stream) {
  launch("spreading row orders over tiles", pad_groups_kernel, ceil_div(groups * slots, threads_per_block),
         threads_per_block, 0, stream, order, rows, groups, group_stride, slots, padded);
}

}  // namespace flexgemm::detail
