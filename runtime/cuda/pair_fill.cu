#include <cub/device/device_scan.cuh>

#include "cuda/launch.hpp"
#include "cuda/pair_fill.hpp"

namespace flexgemm::detail {

namespace {

constexpr int threads_per_block = 256;
constexpr int warps = threads_per_block / 32;
constexpr unsigned whole_warp = 0xffffffffu;

__device__ std::int64_t padded(std::int64_t pairs) {
  return (pairs + padded_pairs - 1) / padded_pairs * padded_pairs;
}

/// Whether a row has one of a group's offsets.
__device__ bool has_offset(const PairBuild& build, std::int64_t row, int group) {
  if (row >= build.rows) return false;
  const std::int32_t* own = build.indices + row * build.volume;
  const int end = min((group + 1) * build.offsets, build.volume);
  bool found = false;
  for (int v = group * build.offsets; v < end; ++v) found |= __ldg(own + v) >= 0;
  return found;
}

/// Writes a row and its neighbors at a group's offsets as one pair of the list; row -1 is padding.
__device__ void write_pair(const PairBuild& build, int group, std::int64_t pair, std::int64_t row) {
  std::int32_t* target =
      build.pairs + pair / pairs_a_block * ((1 + build.offsets) * pairs_a_block) + pair % pairs_a_block;
  target[0] = static_cast<std::int32_t>(row);
  for (int j = 0; j < build.offsets; ++j) {
    const int v = group * build.offsets + j;
    std::int32_t neighbor = -1;
    if (row >= 0 && v < build.volume) {
      neighbor = build.indices == nullptr ? static_cast<std::int32_t>(row)
                                          : __ldg(build.indices + row * build.volume + v);
    }
    target[(1 + j) * pairs_a_block] = neighbor;
  }
}

__global__ void __launch_bounds__(threads_per_block)
    count_pairs_kernel(const __grid_constant__ PairBuild build) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * threads_per_block + threadIdx.x;
  for (int group = 0; group < build.groups; ++group) {
    const int count = __syncthreads_count(has_offset(build, row, group));
    if (threadIdx.x == 0) build.counts[group * build.row_blocks + blockIdx.x] = count;
  }
  if (blockIdx.x == 0 && threadIdx.x == 0) build.counts[build.groups * build.row_blocks] = 0;
}

/// One thread: there are at most 343 groups.
__global__ void group_begin_kernel(const __grid_constant__ PairBuild build) {
  std::int64_t begin = 0;
  for (int group = 0; group < build.groups; ++group) {
    build.group_begin[group] = begin;
    const std::int64_t pairs =
        build.positions[(group + 1) * build.row_blocks] - build.positions[group * build.row_blocks];
    begin += padded(pairs) / pairs_a_block;
  }
  build.group_begin[build.groups] = begin;
}

__global__ void __launch_bounds__(threads_per_block)
    fill_pairs_kernel(const __grid_constant__ PairBuild build) {
  __shared__ int warp_counts[2][warps];
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * threads_per_block + threadIdx.x;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  for (int group = 0; group < build.groups; ++group) {
    int* counts = warp_counts[group % 2];  // the other half may still be read
    const bool found = has_offset(build, row, group);
    const unsigned mask = __ballot_sync(whole_warp, found);
    if (lane == 0) counts[warp] = __popc(mask);
    __syncthreads();
    if (!found) continue;
    int rank = __popc(mask & ((1u << lane) - 1u));
    for (int before = 0; before < warp; ++before) rank += counts[before];
    const std::int64_t position =
        build.positions[group * build.row_blocks + blockIdx.x] - build.positions[group * build.row_blocks];
    write_pair(build, group, build.group_begin[group] * pairs_a_block + position + rank, row);
  }
}

/// One block pads the list of a group.
__global__ void __launch_bounds__(padded_pairs) pad_pairs_kernel(const __grid_constant__ PairBuild build) {
  const int group = static_cast<int>(blockIdx.x);
  const std::int64_t pairs =
      build.positions[(group + 1) * build.row_blocks] - build.positions[group * build.row_blocks];
  const std::int64_t pair = pairs + threadIdx.x;
  if (pair < padded(pairs)) write_pair(build, group, build.group_begin[group] * pairs_a_block + pair, -1);
}

__global__ void __launch_bounds__(threads_per_block)
    every_pair_kernel(const __grid_constant__ PairBuild build) {
  const std::int64_t length = padded(build.rows);
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads_per_block + threadIdx.x;
  if (i <= build.groups) build.group_begin[i] = i * (length / pairs_a_block);
  if (i >= length * build.groups) return;
  const std::int64_t row = i % length;
  write_pair(build, static_cast<int>(i / length), i, row < build.rows ? row : -1);
}

cudaError_t exclusive_sum(const PairBuild& build, void* scratch, std::size_t& bytes, CUstream_st* stream) {
  return cub::DeviceScan::ExclusiveScan(scratch, bytes, build.counts, build.positions, cuda::std::plus<>{},
                                        std::int64_t{0}, build.groups * build.row_blocks + 1, stream);
}

}  // namespace

std::int64_t row_blocks_of(std::int64_t rows) { return ceil_div(rows, threads_per_block); }

std::size_t pair_scan_scratch(const PairBuild& build) {
  std::size_t bytes = 0;
  require_success(exclusive_sum(build, nullptr, bytes, nullptr), "sizing the scan of pairs");
  return bytes;
}

void count_pairs(const PairBuild& build, void* scratch, std::size_t scratch_bytes, CUstream_st* stream) {
  launch("counting pairs", count_pairs_kernel, build.row_blocks, threads_per_block, 0, stream, build);
  require_success(exclusive_sum(build, scratch, scratch_bytes, stream), "scanning the pairs");
  launch("placing groups of offsets", group_begin_kernel, 1, 1, 0, stream, build);
}

void fill_pairs(const PairBuild& build, CUstream_st* stream) {
  launch("writing pairs", fill_pairs_kernel, build.row_blocks, threads_per_block, 0, stream, build);
  launch("padding pairs", pad_pairs_kernel, build.groups, padded_pairs, 0, stream, build);
}

void write_every_pair(const PairBuild& build, CUstream_st* stream) {
  const std::int64_t length = ceil_div(build.rows, padded_pairs) * padded_pairs;
  launch("writing every pair", every_pair_kernel, ceil_div(length * build.groups + 1, threads_per_block),
         threads_per_block, 0, stream, build);
}

}  // namespace flexgemm::detail
