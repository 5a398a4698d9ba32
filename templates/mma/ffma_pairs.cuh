#pragma once

#include "config.cuh"
#include "mma/folded_sums.cuh"
#include "ptx/convert.cuh"

namespace flexgemm {

/// Ffma (mma/ffma.cuh) for operands that lie MN-major, [pair, channel]. The lanes form a 4 x 8 grid; lane
/// (r, c) owns runs of four rows from 4 r on, every 16, and runs of kRun columns from kRun c on, every
/// 8 kRun: each run is one vector of shared memory.
template <class Config, class FirstLayout, class SecondLayout>
struct FfmaPairs : FoldedSums<Config> {
  using Base = FoldedSums<Config>;
  using Storage = typename Config::Storage;
  static constexpr int kRun = Base::kLaneColumns % 4 == 0 ? 4 : Base::kLaneColumns % 2 == 0 ? 2 : 1;

  __device__ __forceinline__ void multiply(const unsigned char* first, const unsigned char* second,
                                           int warp_row, int warp_column) {
    this->begin_tile();
    const int lane = threadIdx.x % 32;
    const int row = warp_row * Base::kWarpRows + lane / 8 * 4;
    const int column = warp_column * Base::kWarpColumns + lane % 8 * kRun;
#pragma unroll 2
    for (int pair = 0; pair < Config::kKTile; ++pair) {
      float a[Base::kLaneRows];
      float b[Base::kLaneColumns];
#pragma unroll
      for (int i = 0; i < Base::kLaneRows; i += 4) load<4, FirstLayout>(a + i, first, pair, row + i * 4);
#pragma unroll
      for (int j = 0; j < Base::kLaneColumns; j += kRun) {
        load<kRun, SecondLayout>(b + j, second, pair, column + j * 8);
      }
#pragma unroll
      for (int i = 0; i < Base::kLaneRows; ++i) {
#pragma unroll
        for (int j = 0; j < Base::kLaneColumns; ++j) this->sums[i][j] = fmaf(a[i], b[j], this->sums[i][j]);
      }
    }
  }

  __device__ __forceinline__ void store_slice(int slice, float* target, int pitch) const {
    const int lane = threadIdx.x % 32;
    this->visit_slice(slice, [&](int i, int j, float result) {
      const int column = j / kRun * kRun * 8 + lane % 8 * kRun + j % kRun;
      target[(lane / 8 * 4 + i % 4) * pitch + column] = result;
    });
  }

 private:
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
