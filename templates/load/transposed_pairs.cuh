#pragma once

#include "config.cuh"
#include "load/pair_ring.cuh"
#include "load/swizzle.cuh"
#include "ptx/convert.cuh"

namespace flexgemm {

/// Where channel c of an operand tile of tf32 wgmma lies.
__device__ __forceinline__ constexpr int row_of_channel(int channel) {
  return (channel & ~31) + 8 * (channel & 3) + (channel >> 2 & 7);
}
__device__ __forceinline__ constexpr int channel_of_row(int row) {
  return (row & ~31) + 4 * (row & 7) + (row >> 3 & 3);
}

/// PairTile for wgmma of tf32, which reads K-major shared memory alone: gathered rows pass through registers,
/// where they are rounded, into a [channel, pair] tile of 128-byte rows in the 128-byte swizzle. A warp moves
/// four pairs of 32 channels at a time, a thread four channels of one pair.
///
/// The rows of the tile are a permutation of the channels within blocks of 32 (row_of_channel()): a thread's
/// channels lie eight rows apart, so that eight lanes store one of theirs to eight rows whose swizzled chunks
/// are all banks, and all stores of a thread are constant offsets from one address.
template <class Config, int kSegments, int kSegmentColumns, int kColumns, int kFirstOperand, int kRowChannels>
struct TransposedPairs {
  using Ring = PairRing<Config>;
  static constexpr int kRowBytes = 128;
  static constexpr int kBlockBytes = 32 * kRowBytes;
  static constexpr int kQuads = Config::kKTile / 4;  // of pairs
  static constexpr int kBlocks = kColumns / 32;      // of channels
  static constexpr int kWarps = Config::kThreads / 32;
  /// Warps that move: of eight or more each keeps its quad, else each has kTurns of them.
  static constexpr int kMovers = kWarps >= kQuads ? kWarps / kQuads * kQuads : kWarps;
  static constexpr int kTurns = kMovers < kQuads ? kQuads / kMovers : 1;
  static constexpr int kBlocksAtOnce = kMovers / kQuads > 0 ? kMovers / kQuads : 1;
  static constexpr int kSteps = ceil_divide(kBlocks, kBlocksAtOnce);
  static constexpr int kPasses = kTurns * kSteps;
  static_assert(Config::kKTile * 4 == kRowBytes, "a K tile is 32 pairs");
  static_assert(kColumns % 32 == 0, "a warp moves 32 channels");
  static_assert(kSegmentColumns % 4 == 0, "a vector must not cross two segments");
  static_assert(kQuads % kMovers == 0 || kMovers % kQuads == 0, "turns move all quads");

  __device__ __forceinline__ static int first_quad() { return threadIdx.x / 32 % kQuads; }
  __device__ __forceinline__ static int first_block() { return threadIdx.x / 32 / kQuads; }
  __device__ __forceinline__ static bool covered(int step) {
    return (kMovers == kWarps || threadIdx.x < kMovers * 32) &&
           (kBlocks % kBlocksAtOnce == 0 || first_block() + step * kBlocksAtOnce < kBlocks);
  }

  /// Starts the loads of a tile.
  __device__ __forceinline__ static void read(float4 (&values)[kPasses], const float* rows, const int* pairs,
                                              int first_channel) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int turn = 0; turn < kTurns; ++turn) {
      const int pair = (first_quad() + turn * kMovers) * 4 + lane / 8;
      const int column = first_block() * 32 + lane % 8 * 4;
      if constexpr (kSegments == 1) {
        const int row = Ring::row(pairs, kFirstOperand, pair);
        const float* from = rows + static_cast<long long>(row) * kRowChannels + first_channel + column;
#pragma unroll
        for (int step = 0; step < kSteps; ++step) {
          const int offset = step * kBlocksAtOnce * 32;
          const bool inside =
              row >= 0 && covered(step) &&
              (kSegmentColumns == kColumns || column + offset < kSegmentColumns) &&
              (kRowChannels % kSegmentColumns == 0 || first_channel + column + offset < kRowChannels);
          values[turn * kSteps + step] = load(from + offset, inside);
        }
      } else {
#pragma unroll
        for (int step = 0; step < kSteps; ++step) {
          const int at = column + step * kBlocksAtOnce * 32;
          const int segment = at / kSegmentColumns;
          const int channel = first_channel + at - segment * kSegmentColumns;
          const bool inside = covered(step) &&
                              (kSegments * kSegmentColumns == kColumns || segment < kSegments) &&
                              (kRowChannels % kSegmentColumns == 0 || channel < kRowChannels);
          const int row = inside ? Ring::row(pairs, kFirstOperand + segment, pair) : -1;
          values[turn * kSteps + step] =
              load(rows + static_cast<long long>(row) * kRowChannels + channel, row >= 0);
        }
      }
    }
  }

  __device__ __forceinline__ static void write(unsigned char* tile, const float4 (&values)[kPasses]) {
    float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      sum.x += values[pass].x;
      sum.y += values[pass].y;
      sum.z += values[pass].z;
      sum.w += values[pass].w;
    }
    // Of finite numbers, which these are if their sum is finite, rounding is one addition: the matrix unit
    // ignores the bits below.
    if (fabsf((sum.x + sum.y) + (sum.z + sum.w)) <= 3.4028235e38f) {
      write_rounded(tile, values, [](float value) { return __float_as_uint(value) + 0x1000; });
    } else {
      write_rounded(tile, values, [](float value) { return round_to_tf32(__float_as_uint(value)); });
    }
  }

 private:
  __device__ __forceinline__ static float4 load(const float* from, bool inside) {
    return inside ? __ldg(reinterpret_cast<const float4*>(from)) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  }

  template <class Round>
  __device__ __forceinline__ static void write_rounded(unsigned char* tile, const float4 (&values)[kPasses],
                                                       Round round) {
    const int lane = threadIdx.x % 32;
    const int channel = first_block() * 32 + lane % 8 * 4;
#pragma unroll
    for (int turn = 0; turn < kTurns; ++turn) {
      const int pair = (first_quad() + turn * kMovers) * 4 + lane / 8;
      unsigned char* to = tile + swizzled<kRowBytes>(row_of_channel(channel), pair * 4);
#pragma unroll
      for (int step = 0; step < kSteps; ++step) {
        if (!covered(step)) continue;
        const float4& value = values[turn * kSteps + step];
        const float elements[4] = {value.x, value.y, value.z, value.w};
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          *reinterpret_cast<unsigned*>(to + step * kBlocksAtOnce * kBlockBytes + e * (8 * kRowBytes)) =
              round(elements[e]);
        }
      }
    }
  }
};

}  // namespace flexgemm
