#pragma once

#include "config.cuh"
#include "epilogue/finish.cuh"
#include "load/transposed_pairs.cuh"

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

  /// Where column 0 of the group of output channel 0 goes.
  struct Target {
    Output* output;
    long long pitch;  // elements between output channels
    bool add;         // whether it holds sums already
  };

  /// `shared` has kBytes that no other warp uses any more; `offsets` of the block's offsets exist.
  __device__ __forceinline__ static void run(const Accumulator& accumulator, unsigned char* shared,
                                             const Target& target, int first_row, int offsets,
                                             int first_channel, int warp_row, int warp_column) {
    float* staging =
        reinterpret_cast<float*>(shared) + (warp_row * Config::kWarpsN + warp_column) * 16 * kPitch;
#pragma unroll
    for (int slice = 0; slice < Accumulator::kSlices; ++slice) {
      accumulator.store_slice(slice, staging, kPitch);
      __syncwarp();
      store(staging, target, first_row, Accumulator::slice_row(warp_row, slice), offsets, first_channel,
            warp_column * kWarpColumns);
      __syncwarp();
    }
  }

 private:
  /// tf32 operands of wgmma lie with their channels permuted, and so do the sums.
  static constexpr bool kPermuted = Config::kMma == MmaPath::wgmma && sizeof(Storage) == 4;

  template <int kCount>
  __device__ __forceinline__ static void load_columns(float (&values)[kCount], const float* staging_row,
                                                      int column) {
    if constexpr (kPermuted) {
#pragma unroll
      for (int e = 0; e < kCount; ++e) values[e] = staging_row[row_of_channel(column + e)];
    } else {
      load_floats(values, staging_row + column);
    }
  }

  __device__ __forceinline__ static void store(const float* staging, const Target& target, int first_row,
                                               int slice_row, int offsets, int first_channel,
                                               int first_column) {
    // A vector that would straddle two warps is stored element by element.
    constexpr int kStep = kWarpColumns % kElements == 0 ? kElements : 1;
    constexpr int kCount = kWarpColumns / kStep;
#pragma unroll 4
    for (int i = static_cast<int>(threadIdx.x) % 32; i < 16 * kCount; i += 32) {
      const int tile_row = slice_row + i / kCount;
      const int row = first_row + (kPermuted ? channel_of_row(tile_row) : tile_row);
      const int column = first_column + i % kCount * kStep;
      const int offset = column / Config::kColumnTile;
      const int channel = column % Config::kColumnTile;
      if (row >= Config::kOutChannels || offset >= offsets || first_channel + channel >= Config::kInChannels)
        continue;
      float values[kStep];
      load_columns(values, staging + i / kCount * kPitch, i % kCount * kStep);
      Output* output =
          target.output + row * target.pitch + offset * Config::kInChannels + first_channel + channel;
      if (target.add) {
        float held[kStep];
        load_converted(held, output);
#pragma unroll
        for (int e = 0; e < kStep; ++e) values[e] += held[e];
      }
      store_converted(values, output);
    }
  }
};

}  // namespace flexgemm
