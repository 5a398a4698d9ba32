#pragma once

// What the two kernels that build resident layouts share. A thread block builds one block of the layout, with
// a thread for each of its slots: whole warps, 64 to 512 threads.

#include <algorithm>
#include <bit>
#include <cstdint>

#include "cuda/launch.hpp"
#include "cuda/resident_steps.hpp"

namespace flexgemm::detail {

inline constexpr unsigned whole_warp = 0xffffffffu;

/// Sizes of a block's arrays in shared memory.
struct ResidentShape {
  int volume;
  int block_rows;
  int capacity;
  int staged_row;  ///< words of a slot's neighbors: odd, so that the slots of an offset lie in distinct banks
  int table_bits;  ///< of the number of places in the table of rows
  int list_rows;   ///< a power of two that the rows of a phase do not exceed

  explicit ResidentShape(const ResidentSource& source)
      : volume(source.volume),
        block_rows(source.block_rows),
        capacity(source.capacity),
        staged_row(source.volume | 1),
        table_bits(0),
        list_rows(0) {
    const auto all = static_cast<unsigned>(block_rows * volume);
    const auto most = static_cast<unsigned>(capacity);
    // A table holds the rows of a phase and, before a block learns that they are too many, one more of each
    // thread. A quarter of it stays free, so that probing ends, and soon.
    const unsigned held = std::min(most + static_cast<unsigned>(block_rows), all);
    table_bits = std::bit_width(held * 4 / 3);
    list_rows = static_cast<int>(std::bit_ceil(std::min(most, all)));
  }
  __host__ __device__ int staged_words() const { return block_rows * staged_row; }
  __host__ __device__ int table_slots() const { return 1 << table_bits; }
};

/// Of a block's shared memory, words: how many distinct rows the table holds, and the offsets of the block.
struct ResidentCounters {
  std::uint32_t held;
  std::uint32_t offsets;
};

__device__ inline std::uint32_t load_now(const std::uint32_t* word) {
  return *static_cast<const volatile std::uint32_t*>(word);
}

/// A set of rows in shared memory. Which slot of the table a row takes depends on timing; what is in the set,
/// and what is made of it, does not.
struct RowSet {
  static constexpr std::uint32_t none = 0xffffffffu;
  std::uint32_t* slots;  // [1 << bits]
  std::uint32_t* list;   // [capacity] the rows as they came, or null
  std::uint32_t* held;   // how many there are
  int bits;
  int capacity;

  /// By the whole block, once all threads are done with the set; afterwards the set is empty for all.
  __device__ void clear() const {
    for (int slot = static_cast<int>(threadIdx.x); slot < 1 << bits; slot += static_cast<int>(blockDim.x)) {
      slots[slot] = none;
    }
    if (threadIdx.x == 0) *held = 0;
    __syncthreads();
  }
  __device__ std::uint32_t first(std::uint32_t row) const { return (row * 0x9e3779b1u) >> (32 - bits); }
  __device__ std::uint32_t next(std::uint32_t slot) const { return (slot + 1) & ((1u << bits) - 1u); }

  /// By any thread. Does nothing once the set holds more rows than the capacity: each thread can have added
  /// at most one row beyond it then.
  __device__ void insert(std::uint32_t row) const {
    if (load_now(held) > static_cast<std::uint32_t>(capacity)) return;
    for (std::uint32_t slot = first(row);; slot = next(slot)) {
      std::uint32_t there = load_now(slots + slot);
      if (there == none) there = atomicCAS(slots + slot, none, row);
      if (there == row) return;
      if (there != none) continue;
      const std::uint32_t place = atomicAdd(held, 1u);
      if (list != nullptr && place < static_cast<std::uint32_t>(capacity)) list[place] = row;
      return;
    }
  }
  /// The slot of a row that is in the set.
  __device__ std::uint32_t find(std::uint32_t row) const {
    std::uint32_t slot = first(row);
    while (slots[slot] != row) slot = next(slot);
    return slot;
  }
};

/// Copies the neighbors of a warp's slots to shared memory, read along the offsets, and returns the mask of
/// the thread's own slot. `staged` [block_rows, staged_row]; a row of -1 has no neighbors.
__device__ inline std::uint32_t stage_neighbors(const std::int32_t* __restrict__ indices, int row,
                                                const ResidentShape& shape, std::int32_t* staged) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  std::int32_t* own = staged + (static_cast<int>(threadIdx.x) - lane) * shape.staged_row;
  std::uint32_t mask = 0;
#pragma unroll 8
  for (int r = 0; r < 32; ++r) {
    const int of_row = __shfl_sync(whole_warp, row, r);
    const bool wanted = of_row >= 0 && lane < shape.volume;
    const std::int32_t neighbor =
        wanted ? __ldg(indices + static_cast<std::int64_t>(of_row) * shape.volume + lane) : -1;
    if (lane < shape.volume) own[r * shape.staged_row + lane] = neighbor;
    const std::uint32_t row_mask = __ballot_sync(whole_warp, neighbor >= 0);
    if (lane == r) mask = row_mask;
  }
  __syncwarp();
  return mask;
}

/// ORs `mask` of all threads into `word`, which is 0 before; complete after the block's next barrier.
__device__ inline void collect_offsets(std::uint32_t mask, std::uint32_t* word) {
  for (int distance = 16; distance > 0; distance /= 2) mask |= __shfl_xor_sync(whole_warp, mask, distance);
  if (threadIdx.x % 32 == 0 && mask != 0) atomicOr(word, mask);
}

/// Sorts `count` values, a power of two, in shared memory: a bitonic network. The values must be complete for
/// the whole block before, and are so afterwards.
template <class Value>
__device__ void sort_shared(Value* values, int count) {
  for (int size = 2; size <= count; size *= 2) {
    for (int stride = size / 2; stride > 0; stride /= 2) {
      for (int i = static_cast<int>(threadIdx.x); i < count / 2; i += static_cast<int>(blockDim.x)) {
        const int low = 2 * i - (i & (stride - 1));
        const Value a = values[low];
        const Value b = values[low + stride];
        if ((a > b) == ((low & size) == 0)) {
          values[low] = b;
          values[low + stride] = a;
        }
      }
      // Up to a stride of 32 a warp stays within the 64 values of its own 32 comparisons.
      const int next_stride = stride > 1 ? stride / 2 : size;
      if (stride > 32 || next_stride > 32) {
        __syncthreads();
      } else {
        __syncwarp();
      }
    }
  }
  __syncthreads();
}

/// Adds the neighbors of the thread's slot at `offsets` to the set.
__device__ inline void insert_neighbors(const RowSet& set, const std::int32_t* own, std::uint32_t offsets) {
  for (; offsets != 0; offsets &= offsets - 1) {
    const std::int32_t neighbor = own[__ffs(static_cast<int>(offsets)) - 1];
    if (neighbor >= 0) set.insert(static_cast<std::uint32_t>(neighbor));
  }
}

/// Adds the neighbors of all slots at `offsets` to the set, by the whole block; returns how many rows it
/// holds then, or more than the capacity if they are more.
__device__ inline int extend(const RowSet& set, const std::int32_t* own, std::uint32_t offsets) {
  insert_neighbors(set, own, offsets);
  __syncthreads();
  const auto held = static_cast<int>(*set.held);
  __syncthreads();  // nobody adds more before all have read it
  return held;
}

/// The same for a set that is emptied first.
__device__ inline int refill(const RowSet& set, const std::int32_t* own, std::uint32_t offsets) {
  __syncthreads();  // all threads are done with the set
  set.clear();
  return extend(set, own, offsets);
}

/// Cuts the `offsets` of a block, ascending, greedily into phases of at most the set's capacity of distinct
/// neighbors, and calls phase(offsets, inputs), by the whole block, at least once: the phase's rows are the
/// first `inputs` of the set's list, and in its table. `own`: the neighbors of the thread's slot. No offset
/// alone may exceed the capacity.
template <class Phase>
__device__ void for_each_phase(const RowSet& set, const std::int32_t* own, std::uint32_t offsets,
                               const Phase& phase) {
  int inputs = refill(set, own, offsets);
  if (inputs <= set.capacity) {
    phase(offsets, inputs);
    return;
  }
  std::uint32_t taken = 0;
  inputs = refill(set, own, 0);
  for (; offsets != 0; offsets &= offsets - 1) {
    const std::uint32_t offset = offsets & (0u - offsets);
    const int together = extend(set, own, offset);
    if (together <= set.capacity) {
      taken |= offset;
      inputs = together;
      continue;
    }
    phase(taken, inputs);  // the rows of `offset` come later in the list
    taken = offset;
    inputs = refill(set, own, taken);
  }
  phase(taken, inputs);
}

/// Allows `kernel` as much shared memory a block as the device has: always as much, because two threads of
/// the host may be about to launch it with different needs.
template <class Kernel>
void launch_resident(const char* what, Kernel* kernel, const ResidentSource& source, int shared_bytes,
                     CUstream_st* stream, const auto& parameters) {
  int device = 0;
  int most = 0;
  require_success(cudaGetDevice(&device), what);
  require_success(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device), what);
  require_success(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most), what);
  launch(what, kernel, source.blocks, source.block_rows, shared_bytes, stream, parameters,
         ResidentShape(source));
}

}  // namespace flexgemm::detail
