#include <algorithm>

#include <cub/device/device_scan.cuh>

#include "cuda/gray_rank.cuh"
#include "cuda/place.cuh"
#include "cuda/resident_block.cuh"

namespace flexgemm::detail {

namespace {

constexpr int most_threads = 512;

/// The sort key of a slot: the rank of its mask, at most 31 bits, above its number and its color. Slots
/// without a row come last, in their order.
constexpr int rank_shift = 12;
constexpr int number_shift = 3;
constexpr std::uint64_t no_rank = std::uint64_t{1} << 44;

extern __shared__ std::uint64_t order_memory[];

struct OrderMemory {
  std::uint64_t* keys;   // [padded_rows]
  std::uint32_t* masks;  // [block_rows]
  std::int32_t* rows;    // [block_rows]
  ResidentCounters* counters;
  std::int32_t* staged;  // [block_rows, staged_row]
  std::uint32_t* table;

  __device__ OrderMemory(const ResidentShape& shape, int padded_rows) {
    keys = order_memory;
    masks = reinterpret_cast<std::uint32_t*>(keys + padded_rows);
    rows = reinterpret_cast<std::int32_t*>(masks + shape.block_rows);
    counters = reinterpret_cast<ResidentCounters*>(rows + shape.block_rows);
    staged = reinterpret_cast<std::int32_t*>(counters + 1);
    table = reinterpret_cast<std::uint32_t*>(staged + shape.staged_words());
  }
  static std::size_t bytes(const ResidentShape& shape, int padded_rows) {
    return static_cast<std::size_t>(padded_rows) * sizeof(std::uint64_t) + sizeof(ResidentCounters) +
           sizeof(std::int32_t) *
               static_cast<std::size_t>(2 * shape.block_rows + shape.staged_words() + shape.table_slots());
  }
};

__host__ __device__ int padded_rows(const ResidentShape& shape) {
  int rows = 64;
  while (rows < shape.block_rows) rows *= 2;
  return rows;
}

/// Where in its run of 16 a slot's row goes: those of a color are dealt in turn to the first and to the last
/// 8. By whole warps.
__device__ int dealt_place(std::uint32_t color) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  int rank = 0;
  for (int other = 0; other < 16; ++other) {
    const std::uint32_t other_color = __shfl_sync(whole_warp, color, (lane & 16) + other);
    rank += other_color < color || (other_color == color && other < lane % 16);
  }
  return rank % 2 * 8 + rank / 2;
}

__global__ void __launch_bounds__(most_threads)
    order_kernel(const __grid_constant__ ResidentOrder build, const __grid_constant__ ResidentShape shape) {
  const int slot = static_cast<int>(threadIdx.x);
  const std::int64_t block = blockIdx.x;
  const std::int64_t first_slot = block * shape.block_rows;
  const int padded = padded_rows(shape);
  const OrderMemory memory(shape, padded);
  if (slot == 0) memory.counters->offsets = 0;
  __syncthreads();

  const bool there = first_slot + slot < build.source.rows;
  const int row = there ? build.place_order[first_slot + slot] : -1;
  const std::uint32_t color = there ? color_of(build.source.places[row]) : 0;
  const std::uint32_t mask = stage_neighbors(build.source.indices, row, shape, memory.staged);
  collect_offsets(mask, &memory.counters->offsets);
  const std::uint64_t rank =
      there ? static_cast<std::uint64_t>(gray_rank(mask, 0xffffffffu, build.offsets)) << rank_shift : no_rank;
  memory.keys[slot] = rank | static_cast<std::uint64_t>(slot) << number_shift | color;
  if (slot + shape.block_rows < padded) memory.keys[slot + shape.block_rows] = ~std::uint64_t{0};
  memory.masks[slot] = mask;
  memory.rows[slot] = row;
  __syncthreads();
  sort_shared(memory.keys, padded);

  const std::uint64_t key = memory.keys[slot];
  const int from = static_cast<int>(key >> number_shift) & (most_threads - 1);
  std::uint32_t run_mask = memory.masks[from];
  for (int distance = 8; distance > 0; distance /= 2) {
    run_mask |= __shfl_xor_sync(whole_warp, run_mask, distance);
  }
  const int run = slot - slot % 16;
  const int dealt = dealt_place(static_cast<std::uint32_t>(key) & 7u);
  const bool whole_run = first_slot + run + 16 <= build.source.rows;
  build.order[first_slot + (whole_run ? run + dealt : slot)] = memory.rows[from];
  if (slot == run) build.masks[(first_slot + run) / 16] = run_mask;

  const RowSet set{memory.table, nullptr, &memory.counters->held, shape.table_bits, shape.capacity};
  std::uint64_t counts = 0;
  for_each_phase(set, memory.staged + slot * shape.staged_row, memory.counters->offsets,
                 [&](std::uint32_t, int inputs) {
                   counts += (std::uint64_t{1} << resident_phase_shift) + static_cast<std::uint64_t>(inputs);
                 });
  if (slot == 0) build.counts[block] = counts;
  if (slot == 0 && block == 0) build.counts[build.source.blocks] = 0;
}

cudaError_t exclusive_sum(void* scratch, std::size_t& bytes, const std::uint64_t* counts,
                          std::uint64_t* begin, std::int64_t blocks, CUstream_st* stream) {
  return cub::DeviceScan::ExclusiveSum(scratch, bytes, counts, begin, static_cast<std::uint32_t>(blocks + 1),
                                       stream);
}

}  // namespace

void order_resident_rows(const ResidentOrder& order, CUstream_st* stream) {
  const ResidentShape shape(order.source);
  launch_resident("ordering the rows of resident blocks", order_kernel, order.source,
                  static_cast<int>(OrderMemory::bytes(shape, padded_rows(shape))), stream, order);
}

std::size_t resident_scan_scratch(std::int64_t blocks) {
  std::size_t bytes = 0;
  require_success(exclusive_sum(nullptr, bytes, nullptr, nullptr, blocks, nullptr),
                  "sizing the scan of resident blocks");
  return bytes;
}

void scan_resident_counts(const std::uint64_t* counts, std::int64_t blocks, std::uint64_t* begin,
                          void* scratch, std::size_t scratch_bytes, CUstream_st* stream) {
  require_success(exclusive_sum(scratch, scratch_bytes, counts, begin, blocks, stream),
                  "scanning the phases and inputs of resident blocks");
}

}  // namespace flexgemm::detail
