#pragma once

#include "mma/wgmma_tile.cuh"
#include "ptx/wgmma_pairs.cuh"

namespace flexgemm {

/// WgmmaTile's rules on K tiles are those of K-major operands.
template <class Config>
struct WgmmaPairsBase : Config {
  static constexpr int kKTile = 128 / static_cast<int>(sizeof(typename Config::Storage));
};

/// WgmmaTile for operands that lie MN-major, [pair, channel], in blocks of 64 channels with the 128-byte
/// swizzle (load/pair_tile.cuh): 16-bit types, which wgmma takes in either major.
template <class Config, class FirstLayout, class SecondLayout>
struct WgmmaPairs : WgmmaTile<WgmmaPairsBase<Config>> {
  using Base = WgmmaTile<WgmmaPairsBase<Config>>;
  /// Of three stages one more is under way if no product holds one: blocks of one multiprocessor, which there
  /// are where stages are few, hide each other's products (docs/performance.md).
  static constexpr int kPending = Config::kStages == 3 ? 0 : Base::kPending;

  __device__ __forceinline__ void multiply(const unsigned char* first, const unsigned char* second,
                                           int warp_row, int warp_column) {
    constexpr int kPairs = 16;  // of one instruction: 2,048 bytes of a block
    constexpr int kBlockBytes = FirstLayout::kBlockBytes;
    const unsigned long long a = wgmma_pairs_descriptor<kBlockBytes>(
        shared_address(first) + warp_row / 4 * (Base::kGroupRows / 64) * kBlockBytes);
    const unsigned long long b = wgmma_pairs_descriptor<kBlockBytes>(
        shared_address(second) + SecondLayout::at(0, warp_column * Base::kWarpColumns * 2));
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < Base::kRowBlocks; ++i) {
#pragma unroll
      for (int k = 0; k < Config::kKTile / kPairs; ++k) {
        Wgmma<Config::kCompute, Base::kWarpColumns, true>::run(
            this->accumulators[i], descriptor_after(a, i * (kBlockBytes / 16) + k * 128),
            descriptor_after(b, k * 128));
      }
    }
    wgmma_commit();
    wgmma_wait<kPending>();
  }
};

}  // namespace flexgemm
