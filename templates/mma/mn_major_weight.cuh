#pragma once

#include "config.cuh"
#include "ptx/copy.cuh"
#include "ptx/wgmma_pairs.cuh"

namespace flexgemm {

/// A tile of weights in shared memory, MN-major: blocks of 64 columns one after the other, in each a row of
/// 128 bytes for every element of K (mma/wgmma_tile.cuh: KMajorWeight).
template <class Config>
struct MnMajorWeight {
  static constexpr bool kMnMajor = true;
  static constexpr int kBlockColumns = 64;
  static constexpr int kBlockBytes = Config::kKTile * 128;
  static constexpr int kKStep = 128;  // 16 rows
  static_assert(Config::kColumnTile / Config::kWarpsN % kBlockColumns == 0, "a warpgroup has whole blocks");

  __device__ __forceinline__ static unsigned long long descriptor(const unsigned char* weight, int column) {
    return wgmma_pairs_descriptor<kBlockBytes>(shared_address(weight) + column / kBlockColumns * kBlockBytes);
  }
};

}  // namespace flexgemm
