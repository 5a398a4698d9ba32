#pragma once

#include "config.cuh"
#include "ptx/copy.cuh"
#include "ptx/wgmma.cuh"

namespace flexgemm {

/// A descriptor of the same matrix that starts 16 * `units` bytes on: a sum of its lower halves, which never
/// carries, because the start has more bits than shared memory has places.
__device__ __forceinline__ unsigned long long descriptor_after(unsigned long long descriptor, int units) {
  return (descriptor & 0xffffffff00000000ull) | (static_cast<unsigned>(descriptor) + units);
}

/// A tile of weights in shared memory, K-major: a K tile of 128 bytes a column.
template <class Config>
struct KMajorWeight {
  static constexpr bool kMnMajor = false;
  static constexpr int kKStep = 2;  // of a descriptor, from one instruction's part of K to the next
  /// Of the tile's columns from `column` on.
  __device__ __forceinline__ static unsigned long long descriptor(const unsigned char* weight, int column) {
    return wgmma_descriptor(shared_address(weight) + column * 128);
  }
};

/// A warpgroup's share of a tile product on Hopper's matrix unit: kRowBlocks blocks of 64 rows times all
/// columns of the warpgroup, in registers. The rows lie K-major in shared memory, a K tile of 128 bytes a
/// row, the weights as Weight says, both in the 128-byte swizzle (load/swizzle.cuh). Products run
/// asynchronously: multiply() returns while the latest is under way.
template <class Config, class Weight = KMajorWeight<Config>>
struct WgmmaTile {
  static constexpr int kWarpColumns = Config::kColumnTile / Config::kWarpsN;
  static constexpr int kGroupRows = Config::kRowTile / (Config::kWarpsM / 4);
  static constexpr int kRowBlocks = kGroupRows / 64;
  static constexpr int kSlices = kRowBlocks;
  static constexpr int kRowBytes = 128;
  static constexpr int kPending = 1;  // tile products that may still read shared memory after multiply()
  static_assert(Config::kKTile * sizeof(typename Config::Storage) == kRowBytes, "a K tile is 128 bytes wide");
  static_assert(Config::kWarpsM % 4 == 0, "warpgroups are stacked along the rows");
  static_assert(kGroupRows % 64 == 0, "a warpgroup computes blocks of 64 rows");

  float accumulators[kRowBlocks][kWarpColumns / 2];

  __device__ __forceinline__ WgmmaTile() : accumulators{} {}

  __device__ __forceinline__ static int warp_row(int warp) {
    return warp / 4 / Config::kWarpsN * 4 + warp % 4;
  }
  __device__ __forceinline__ static int warp_column(int warp) { return warp / 4 % Config::kWarpsN; }
  /// First row in the tile of a slice of 16 rows that this warp holds.
  __device__ __forceinline__ static int slice_row(int warp_row, int slice) {
    return (warp_row / 4 * kRowBlocks + slice) * 64 + warp_row % 4 * 16;
  }

  /// To be called between this thread's copies and the barrier that precedes multiply(), or by every reader
  /// between the barrier at which others' copies arrive and multiply().
  __device__ __forceinline__ static void publish_copies() { fence_async_proxy(); }

  __device__ __forceinline__ void multiply(const unsigned char* feats, const unsigned char* weight,
                                           int warp_row, int warp_column) {
    constexpr int kKSteps = kRowBytes / 32;
    const unsigned long long a =
        wgmma_descriptor(shared_address(feats) + warp_row / 4 * kGroupRows * kRowBytes);
    const unsigned long long b = Weight::descriptor(weight, warp_column * kWarpColumns);
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < kRowBlocks; ++i) {
#pragma unroll
      for (int k = 0; k < kKSteps; ++k) {
        Wgmma<Config::kCompute, kWarpColumns, false, Weight::kMnMajor>::run(
            accumulators[i], descriptor_after(a, i * (64 * kRowBytes / 16) + k * 2),
            descriptor_after(b, k * Weight::kKStep));
      }
    }
    wgmma_commit();
    wgmma_wait<kPending>();
  }

  /// Waits for the last products; the accumulators are complete afterwards.
  __device__ __forceinline__ void finish() { wgmma_wait<0>(); }

  /// Writes the 16 rows of slice `slice` to shared memory, row-major with `pitch` floats a row.
  __device__ __forceinline__ void store_slice(int slice, float* target, int pitch) const {
    const int lane = threadIdx.x % 32;
    // Constant offsets from two pointers: with an address computed for each store, compile time grows with
    // the square of their number.
    float2* upper = reinterpret_cast<float2*>(target + lane / 4 * pitch + lane % 4 * 2);
    float2* lower = upper + 4 * pitch;
#pragma unroll
    for (int i = 0; i < kRowBlocks; ++i) {
      if (i != slice) continue;  // keeps the register index a constant
#pragma unroll
      for (int j = 0; j < kWarpColumns / 8; ++j) {
        upper[4 * j] = make_float2(accumulators[i][4 * j], accumulators[i][4 * j + 1]);
        lower[4 * j] = make_float2(accumulators[i][4 * j + 2], accumulators[i][4 * j + 3]);
      }
    }
  }
};

}  // namespace flexgemm
