#pragma once

#include "config.cuh"
#include "load/pair_ring.cuh"
#include "load/swizzle.cuh"
#include "ptx/convert.cuh"

namespace flexgemm {

/// Where channel c of an operand tile of tf32 wgmma lies: the rows of a K-major tile are a permutation of the
/// channels within blocks of 32, such that eight lanes with four channels each store one channel of theirs to
/// eight rows whose swizzled chunks are all banks.
__device__ __forceinline__ constexpr int row_of_channel(int channel) {
  return (channel & ~31) + 8 * (channel & 3) + (channel >> 2 & 7);
}
__device__ __forceinline__ constexpr int channel_of_row(int row) {
  return (row & ~31) + 4 * (row & 7) + (row >> 3 & 3);
}

/// PairTile for wgmma of tf32, which reads K-major shared memory alone: gathered rows pass through registers,
/// where they are rounded, into a [channel, pair] tile of 128-byte rows in the 128-byte swizzle. A warp moves
/// four pairs of 32 channels at a time.
template <class Config, int kSegments, int kSegmentColumns, int kColumns, int kFirstOperand, int kRowChannels>
struct TransposedPairs {
  using Ring = PairRing<Config>;
  static constexpr int kRowBytes = 128;
  static constexpr int kBytes = kColumns * kRowBytes;
  static constexpr int kWarps = Config::kThreads / 32;
  static constexpr int kQuads = Config::kKTile / 4;
  static constexpr int kUnits = kColumns / 32 * kQuads;
  static constexpr int kPasses = ceil_divide(kUnits, kWarps);
  static constexpr bool kWholePasses = kPasses * kWarps == kUnits;
  static_assert(Config::kKTile * 4 == kRowBytes, "a K tile is 32 pairs");
  static_assert(kColumns % 32 == 0, "a warp moves 32 channels");
  static_assert(kSegmentColumns % 4 == 0, "a vector must not cross two segments");

  /// What a thread moves in a pass: four channels of one pair. Written so that the compiler sees what passes
  /// share: of at least eight warps each keeps its pairs.
  struct Place {
    int channel;  // of the tile
    int pair;
    bool covered;
  };
  __device__ __forceinline__ static Place place(int pass) {
    const int lane = threadIdx.x % 32;
    const int warp = threadIdx.x / 32;
    int block, quad;
    if constexpr (kWarps % kQuads == 0) {
      block = warp / kQuads + pass * (kWarps / kQuads);
      quad = warp % kQuads;
    } else if constexpr (kQuads % kWarps == 0) {
      block = pass / (kQuads / kWarps);
      quad = warp + pass % (kQuads / kWarps) * kWarps;
    } else {
      block = (warp + pass * kWarps) / kQuads;
      quad = (warp + pass * kWarps) % kQuads;
    }
    return {block * 32 + lane % 8 * 4, quad * 4 + lane / 8, kWholePasses || warp + pass * kWarps < kUnits};
  }

  /// Starts the loads of a tile.
  __device__ __forceinline__ static void read(float4 (&values)[kPasses], const float* rows, const int* pairs,
                                              int first_channel) {
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const Place at = place(pass);
      values[pass] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
      if (!at.covered) continue;
      const int segment = kSegments == 1 ? 0 : at.channel / kSegmentColumns;
      const int channel = first_channel + at.channel - segment * kSegmentColumns;
      const bool inside =
          (kSegments * kSegmentColumns == kColumns || at.channel < kSegments * kSegmentColumns) &&
          (kRowChannels % kSegmentColumns == 0 || channel < kRowChannels);
      const int row = inside ? Ring::row(pairs, kFirstOperand + segment, at.pair) : -1;
      if (row >= 0) {
        values[pass] = __ldg(
            reinterpret_cast<const float4*>(rows + static_cast<long long>(row) * kRowChannels + channel));
      }
    }
  }

  __device__ __forceinline__ static void write(unsigned char* tile, const float4 (&values)[kPasses]) {
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const Place at = place(pass);
      if (!at.covered) continue;
      const float elements[4] = {values[pass].x, values[pass].y, values[pass].z, values[pass].w};
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        *reinterpret_cast<unsigned*>(tile +
                                     swizzled<kRowBytes>(row_of_channel(at.channel + e), at.pair * 4)) =
            round_to_tf32(__float_as_uint(elements[e]));
      }
    }
  }
};

}  // namespace flexgemm
