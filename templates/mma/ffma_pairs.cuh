#pragma once

#include "config.cuh"
#include "ptx/convert.cuh"

namespace flexgemm {

/// Ffma (mma/ffma.cuh) for operands that lie MN-major, [pair, channel]. The lanes form a 4 x 8 grid; lane
/// (r, c) owns runs of four rows from 4 r on, every 16, and runs of kRun columns from kRun c on, every
/// 8 kRun: each run is one vector of shared memory.
template <class Config, class FirstLayout, class SecondLayout>
struct FfmaPairs {
  using Storage = typename Config::Storage;
  static constexpr int kWarpRows = Config::kRowTile / Config::kWarpsM;
  static constexpr int kWarpColumns = Config::kColumnTile / Config::kWarpsN;
  static constexpr int kLaneRows = kWarpRows / 4;
  static constexpr int kLaneColumns = kWarpColumns / 8;
  static constexpr int kRun = kLaneColumns % 4 == 0 ? 4 : kLaneColumns % 2 == 0 ? 2 : 1;
  static_assert(kWarpRows % 16 == 0 && kWarpColumns % 8 == 0, "a warp tile is a multiple of 16 x 8");

  // Folded sums, as in Ffma.
  static constexpr int kFoldPairs = 512;
  static constexpr int kFoldTiles = maximum(kFoldPairs / Config::kKTile, 1);

  float sums[kLaneRows][kLaneColumns];
  float totals[kLaneRows][kLaneColumns];
  int tiles_since_fold = 0;

  static constexpr int kSlices = kWarpRows / 16;
  static constexpr int kPending = 0;  // products are complete when multiply() returns

  __device__ __forceinline__ FfmaPairs() : sums{}, totals{} {}

  __device__ __forceinline__ static int warp_row(int warp) { return warp / Config::kWarpsN; }
  __device__ __forceinline__ static int warp_column(int warp) { return warp % Config::kWarpsN; }
  __device__ __forceinline__ static int slice_row(int warp_row, int slice) {
    return warp_row * kWarpRows + slice * 16;
  }
  __device__ __forceinline__ static void publish_copies() {}
  __device__ __forceinline__ void finish() {}

  __device__ __forceinline__ void multiply(const unsigned char* first, const unsigned char* second,
                                           int warp_row, int warp_column) {
    if (tiles_since_fold == kFoldTiles) fold();
    ++tiles_since_fold;
    const int lane = threadIdx.x % 32;
    const int row = warp_row * kWarpRows + lane / 8 * 4;
    const int column = warp_column * kWarpColumns + lane % 8 * kRun;
#pragma unroll 2
    for (int pair = 0; pair < Config::kKTile; ++pair) {
      float a[kLaneRows];
      float b[kLaneColumns];
#pragma unroll
      for (int i = 0; i < kLaneRows; i += 4) load<4, FirstLayout>(a + i, first, pair, row + i * 4);
#pragma unroll
      for (int j = 0; j < kLaneColumns; j += kRun) {
        load<kRun, SecondLayout>(b + j, second, pair, column + j * 8);
      }
#pragma unroll
      for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll
        for (int j = 0; j < kLaneColumns; ++j) sums[i][j] = fmaf(a[i], b[j], sums[i][j]);
      }
    }
  }

  __device__ __forceinline__ void store_slice(int slice, float* target, int pitch) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      if (i / 4 != slice) continue;  // keeps the register index a constant
#pragma unroll
      for (int j = 0; j < kLaneColumns; ++j) {
        const int column = j / kRun * kRun * 8 + lane % 8 * kRun + j % kRun;
        target[(lane / 8 * 4 + i % 4) * pitch + column] = totals[i][j] + sums[i][j];
      }
    }
  }

 private:
  __device__ __forceinline__ void fold() {
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll
      for (int j = 0; j < kLaneColumns; ++j) {
        totals[i][j] += sums[i][j];
        sums[i][j] = 0.0f;
      }
    }
    tiles_since_fold = 0;
  }

  template <int kCount, class Layout>
  __device__ __forceinline__ static void load(float* values, const unsigned char* tile, int pair,
                                              int channel) {
    constexpr int kElementBytes = sizeof(Storage);
    union {
      Vector<kCount * kElementBytes> word;
      Storage elements[kCount];
    } loaded;
    loaded.word = *reinterpret_cast<const Vector<kCount * kElementBytes>*>(
        tile + Layout::at(pair, channel * kElementBytes));
#pragma unroll
    for (int e = 0; e < kCount; ++e) values[e] = to_float(loaded.elements[e]);
  }
};

}  // namespace flexgemm
