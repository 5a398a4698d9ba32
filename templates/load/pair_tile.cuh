#pragma once

#include "config.cuh"
#include "load/pair_ring.cuh"
#include "ptx/copy.cuh"

namespace flexgemm {

/// Where an MN-major operand tile of grad_weight lies in shared memory: kKTile lines, one a pair, of kColumns
/// channels. For wgmma in blocks of 64 channels, each kKTile lines of 128 bytes in the 128-byte swizzle; else
/// line after line with a pitch that spreads the lines that one load touches over all banks.
template <class Config, int kColumns>
struct PairTileLayout {
  static constexpr int kElementBytes = sizeof(typename Config::Storage);
  static constexpr bool kSwizzled = Config::kMma == MmaPath::wgmma;
  static constexpr int kPadding = Config::kMma != MmaPath::mma_sync ? 0 : kElementBytes == 2 ? 16 : 32;
  static constexpr int kPitch = kColumns * kElementBytes + kPadding;  // unless swizzled
  static constexpr int kBlockBytes = Config::kKTile * 128;            // if swizzled: 64 channels
  static constexpr int kBytes =
      kSwizzled ? ceil_divide(kColumns * kElementBytes, 128) * kBlockBytes : Config::kKTile * kPitch;
  static_assert(kPitch % 16 == 0, "lines start at whole vectors");

  /// Byte offset of byte `column` of a pair's line.
  __device__ __forceinline__ static int at(int pair, int column) {
    if constexpr (kSwizzled) {
      return column / 128 * kBlockBytes + pair * 128 + (((column / 16 % 8) ^ (pair & 7)) << 4) + column % 16;
    } else {
      return pair * kPitch + column;
    }
  }
};

/// Gathers a K tile of pairs to shared memory: kSegments runs of kSegmentColumns channels, each from the row
/// that one operand of the pair names, starting at one channel of the row. Channels past the end of a row
/// (kRowChannels) and missing rows become zeros.
template <class Config, int kSegments, int kSegmentColumns, int kColumns, int kFirstOperand, int kRowChannels,
          int kVectorBytes>
struct PairTile {
  using Storage = typename Config::Storage;
  using Layout = PairTileLayout<Config, kColumns>;
  using Ring = PairRing<Config>;
  using Word = Vector<kVectorBytes>;
  static constexpr int kElementBytes = sizeof(Storage);
  static constexpr int kElements = kVectorBytes / kElementBytes;
  static constexpr int kSegmentVectors = kSegmentColumns / kElements;
  static constexpr int kVectors = kSegments * kSegmentVectors;
  static constexpr int kCount = kVectors * Config::kKTile;
  static constexpr int kPasses = ceil_divide(kCount, Config::kThreads);
  static constexpr bool kWholePasses = kPasses * Config::kThreads == kCount;
  /// Every thread keeps one vector column and walks the pairs, if the threads cover whole lines.
  static constexpr bool kOwnColumn = Config::kThreads % kVectors == 0;
  /// Passes in flight: more of them, each with its address, cost more registers than they hide latency.
  static constexpr int kUnrolled = minimum(kPasses, kOwnColumn ? 8 : 4);
  static_assert(kSegmentColumns % kElements == 0, "a vector must not cross two segments");
  static_assert(kSegments * kSegmentColumns <= kColumns, "the segments fit the tile");

  struct Place {
    int pair;
    int segment;
    int column;  // in the segment, in vectors
  };
  __device__ __forceinline__ static Place place(int pass) {
    const int thread = threadIdx.x;
    int pair, vector;
    if constexpr (kOwnColumn) {
      vector = thread % kVectors;
      pair = thread / kVectors + pass * (Config::kThreads / kVectors);
    } else {
      const int i = thread + pass * Config::kThreads;
      pair = i / kVectors;
      vector = i % kVectors;
    }
    if constexpr (kSegments == 1) return {pair, 0, vector};
    return {pair, vector / kSegmentVectors, vector % kSegmentVectors};
  }
  __device__ __forceinline__ static bool covered(int pass) {
    return kWholePasses || static_cast<int>(threadIdx.x) + pass * Config::kThreads < kCount;
  }
  __device__ __forceinline__ static int target(const Place& at) {
    return Layout::at(at.pair, (at.segment * kSegmentColumns + at.column * kElements) * kElementBytes);
  }
  __device__ __forceinline__ static const void* source(const Storage* rows, const int* pairs, const Place& at,
                                                       int first_channel, bool& valid) {
    const int row = Ring::row(pairs, kFirstOperand + at.segment, at.pair);
    const int channel = first_channel + at.column * kElements;
    valid = row >= 0 && (kRowChannels % kSegmentColumns == 0 || channel < kRowChannels);
    return valid ? rows + static_cast<long long>(row) * kRowChannels + channel : rows;
  }

  /// Starts asynchronous copies of the whole tile.
  __device__ __forceinline__ static void copy(unsigned tile, const Storage* rows, const int* pairs,
                                              int first_channel) {
#pragma unroll kUnrolled
    for (int pass = 0; pass < kPasses; ++pass) {
      if (!covered(pass)) continue;
      const Place at = place(pass);
      bool valid;
      const void* from = source(rows, pairs, at, first_channel, valid);
      copy_async<kVectorBytes>(tile + target(at), from, valid);
    }
  }

  /// The same through registers, where cp.async cannot serve: complete when it returns.
  __device__ __forceinline__ static void copy_now(unsigned char* tile, const Storage* rows, const int* pairs,
                                                  int first_channel) {
#pragma unroll kUnrolled
    for (int pass = 0; pass < kPasses; ++pass) {
      if (!covered(pass)) continue;
      const Place at = place(pass);
      bool valid;
      const void* from = source(rows, pairs, at, first_channel, valid);
      *reinterpret_cast<Word*>(tile + target(at)) = valid ? __ldg(static_cast<const Word*>(from)) : Word{};
    }
  }
};

}  // namespace flexgemm
