#pragma once

#include "config.cuh"
#include "epilogue/finish.cuh"

namespace flexgemm {

/// Brings a block's accumulators to the weight gradient [Co, V, Ci]: rows are output channels, columns the
/// input channels of one offset after the other. Each warp passes 16 rows at a time through its own part of
/// shared memory, so that what a lane holds of a fragment becomes whole vectors of one row.
template <class Config, class Accumulator>
struct StoreGradient {
  using Storage = typename Config::Storage;
  using Output = typename SelectType<Config::kPartialOutput, float, Storage>::type;
  static constexpr int kWarpColumns = Config::kColumns / Config::kWarpsN;
  static constexpr int kPitch = kWarpColumns + 8;
  static constexpr int kBytes = Config::kWarpsM * Config::kWarpsN * 16 * kPitch * 4;
  static constexpr int kElements = Config::kOutputVectorBytes / static_cast<int>(sizeof(Output));
  static_assert(Config::kInChannels % kElements == 0, "an output vector must not cross two offsets");
  static_assert(Config::kColumnTile % kElements == 0, "an output vector must not cross two segments");

  /// `shared` has kBytes that no other warp uses any more; `add` says whether `output` holds sums already.
  __device__ __forceinline__ static void run(const Accumulator& accumulator, unsigned char* shared,
                                             Output* output, bool add, int first_row, int first_offset,
                                             int first_channel, int warp_row, int warp_column) {
    const int lane = threadIdx.x % 32;
    float* staging =
        reinterpret_cast<float*>(shared) + (warp_row * Config::kWarpsN + warp_column) * 16 * kPitch;
#pragma unroll
    for (int slice = 0; slice < Accumulator::kSlices; ++slice) {
      accumulator.store_slice(slice, staging, kPitch);
      __syncwarp();
      const int slice_row = first_row + Accumulator::slice_row(warp_row, slice);
      store(staging, output, add, slice_row, first_offset, first_channel, warp_column * kWarpColumns, lane);
      __syncwarp();
    }
  }

 private:
  __device__ __forceinline__ static void store(const float* staging, Output* output, bool add, int first_row,
                                               int first_offset, int first_channel, int first_column,
                                               int lane) {
    // A vector that would straddle two warps is stored element by element.
    constexpr int kStep = kWarpColumns % kElements == 0 ? kElements : 1;
    constexpr int kCount = kWarpColumns / kStep;
#pragma unroll 4
    for (int i = lane; i < 16 * kCount; i += 32) {
      const int row = first_row + i / kCount;
      const int column = first_column + i % kCount * kStep;
      const int offset = first_offset + column / Config::kColumnTile;
      const int channel = first_channel + column % Config::kColumnTile;
      if (row >= Config::kOutChannels || column >= Config::kOffsets * Config::kColumnTile ||
          offset >= Config::kVolume || channel >= Config::kInChannels)
        continue;
      float values[kStep];
      load_floats(values, staging + i / kCount * kPitch + i % kCount * kStep);
      Output* target =
          output + (static_cast<long long>(row) * Config::kVolume + offset) * Config::kInChannels + channel;
      if (add) {
        float held[kStep];
        load_converted(held, target);
#pragma unroll
        for (int e = 0; e < kStep; ++e) values[e] += held[e];
      }
      store_converted(values, target);
    }
  }
};

}  // namespace flexgemm
