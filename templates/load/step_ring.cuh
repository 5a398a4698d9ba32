#pragma once

#include "config.cuh"
#include "ptx/copy.cuh"

namespace flexgemm {

/// The steps of a row tile on their way through shared memory: for each step its kernel offset and the input
/// row of every slot. A ring, because V * row_tile indices do not always fit; fetched kStages stages before
/// they are used, so that the latency of the indices hides behind the arithmetic like that of the data.
template <class Config>
struct StepRing {
  /// Steps that the tiles of the pipeline's prologue and the fetches ahead of them touch, or all there are.
  static constexpr int kSlots = minimum(
      Config::kVolume, ceil_divide(2 * (Config::kStages - 1) * Config::kKTile, Config::kInChannels) + 2);
  static constexpr int kRows = Config::kRowTile;
  static constexpr int kOffsetBytes = ceil_divide(kSlots * 4, 16) * 16;
  static constexpr int kBytes = kSlots * kRows * 4 + kOffsetBytes;

  int* offsets;               // [kSlots] in shared memory
  int* rows;                  // [kSlots, kRows] in shared memory
  const int* source_offsets;  // of the tile's first step, in global memory
  const int* source_rows;
  int loaded;  // steps before this one are in the ring or were

  __device__ StepRing(unsigned char* shared, const int* step_offset, const int* step_rows,
                      long long first_step)
      : offsets(reinterpret_cast<int*>(shared)),
        rows(reinterpret_cast<int*>(shared + kOffsetBytes)),
        source_offsets(step_offset + first_step),
        source_rows(step_rows + first_step * kRows),
        loaded(0) {}

  /// Starts the copies of the steps in [loaded, end). The caller commits and synchronizes.
  __device__ __forceinline__ void fetch(int end) {
    constexpr int kVectors = kRows / 4;
    const int count = end - loaded;
    if (count <= 0) return;
#pragma unroll 1  // it is nearly always one round
    for (int i = threadIdx.x; i < count * kVectors; i += Config::kThreads) {
      const int step = loaded + i / kVectors;
      const int vector = i % kVectors;
      const int* source = source_rows + static_cast<long long>(step) * kRows + vector * 4;
      int* target = rows + (step % kSlots) * kRows + vector * 4;
      if constexpr (Config::kAsyncCopy) {
        copy_async<16>(shared_address(target), source, true);
      } else {
        *reinterpret_cast<int4*>(target) = __ldg(reinterpret_cast<const int4*>(source));
      }
    }
#pragma unroll 1
    for (int i = threadIdx.x; i < count; i += Config::kThreads) {
      const int step = loaded + i;
      if constexpr (Config::kAsyncCopy) {
        copy_async<4>(shared_address(offsets + step % kSlots), source_offsets + step, true);
      } else {
        offsets[step % kSlots] = __ldg(source_offsets + step);
      }
    }
    loaded = end;
  }

  __device__ __forceinline__ int offset(int step) const { return offsets[step % kSlots]; }
  __device__ __forceinline__ int row(int step, int slot) const {
    return rows[(step % kSlots) * kRows + slot];
  }
};

}  // namespace flexgemm
