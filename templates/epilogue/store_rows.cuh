#pragma once

#include "config.cuh"
#include "epilogue/finish.cuh"
#include "parameters.cuh"

namespace flexgemm {

/// Brings a block's accumulators to their permuted rows. Each warp passes 16 rows at a time through its own
/// part of shared memory, so that what a lane holds of a fragment becomes whole vectors of one row.
template <class Config, class Accumulator>
struct StoreRows {
  using Storage = typename Config::Storage;
  using Output = typename SelectType<Config::kPartialOutput, float, Storage>::type;
  static constexpr int kWarpColumns = Config::kColumnTile / Config::kWarpsN;
  static constexpr int kPitch = kWarpColumns + 8;
  static constexpr int kBytes = Config::kWarpsM * Config::kWarpsN * 16 * kPitch * 4;
  static constexpr int kElements = Config::kOutputVectorBytes / static_cast<int>(sizeof(Output));
  static constexpr int kVectors = kWarpColumns / kElements;
  static_assert(Config::kOutChannels % kElements == 0, "an output vector must not cross two rows");
  static_assert(kWarpColumns % kElements == 0, "an output vector must not cross two warps");

  /// `shared` has kBytes that no other warp uses any more. `first_slot` is the tile's first slot in the
  /// order.
  template <class Parameters>
  __device__ __forceinline__ static void run(const Accumulator& accumulator, unsigned char* shared,
                                             const Parameters& parameters, long long first_slot,
                                             int first_channel, int split, int warp_row, int warp_column) {
    const int lane = threadIdx.x % 32;
    float* staging =
        reinterpret_cast<float*>(shared) + (warp_row * Config::kWarpsN + warp_column) * 16 * kPitch;
    Output* output = static_cast<Output*>(parameters.output);
    if constexpr (Config::kPartialOutput) output += split * parameters.rows * Config::kOutChannels;
    const int* order = parameters.order + first_slot;
    first_channel += warp_column * kWarpColumns;
#pragma unroll
    for (int slice = 0; slice < Accumulator::kSlices; ++slice) {
      accumulator.store_slice(slice, staging, kPitch);
      __syncwarp();
#pragma unroll 4
      for (int i = lane; i < 16 * kVectors; i += 32) {
        const int row = i / kVectors;
        const int column = (i % kVectors) * kElements;
        const int channel = first_channel + column;
        const int output_row = __ldg(order + Accumulator::slice_row(warp_row, slice) + row);
        if (output_row < 0 || channel >= Config::kOutChannels) continue;
        float values[kElements];
        load_floats(values, staging + row * kPitch + column);
        if constexpr (!Config::kPartialOutput) finish<Config>(values, parameters, output_row, channel);
        store_converted(values, output + static_cast<long long>(output_row) * Config::kOutChannels + channel);
      }
      __syncwarp();
    }
  }
};

}  // namespace flexgemm
