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
  static constexpr int kPairStep = kOwnColumn ? Config::kThreads / kVectors : 0;
  /// Then a thread's places differ by constants, if the swizzle repeats and blocks of pairs are whole.
  static constexpr bool kConstantSteps =
      kOwnColumn && kPairStep % 8 == 0 &&
      (kPairStep % Ring::kBlockPairs == 0 || Ring::kBlockPairs % kPairStep == 0);
  static constexpr int kTargetStep = kPairStep * (Layout::kSwizzled ? 128 : Layout::kPitch);
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
  /// The row to copy from at a pass, -1: none.
  __device__ __forceinline__ static int row(const int* pairs, int pass, int first_channel) {
    if (!covered(pass)) return -1;
    const Place at = place(kConstantSteps ? 0 : pass);
    if (kRowChannels % kSegmentColumns != 0 && first_channel + at.column * kElements >= kRowChannels)
      return -1;
    if constexpr (!kConstantSteps) return Ring::row(pairs, kFirstOperand + at.segment, at.pair);
    return Ring::row(pairs + Ring::steps(pass * kPairStep), kFirstOperand + at.segment, at.pair);
  }

  /// Starts asynchronous copies of the whole tile. A batch's rows are read before its first copy, which no
  /// read may pass.
  __device__ __forceinline__ static void copy(unsigned tile, const Storage* rows, const int* pairs,
                                              int first_channel) {
    const Place first = place(0);
    const void* columns = whole_address(rows + first_channel + first.column * kElements);
#pragma unroll 1
    for (int batch = 0; batch < kPasses; batch += kUnrolled) {
      int batch_rows[kUnrolled];
#pragma unroll
      for (int i = 0; i < kUnrolled; ++i) {
        batch_rows[i] = batch + i < kPasses ? row(pairs, batch + i, first_channel) : -1;
      }
#pragma unroll
      for (int i = 0; i < kUnrolled; ++i) {
        const int pass = batch + i;
        if (pass >= kPasses || !covered(pass)) continue;
        const Place at = place(pass);
        const void* from = kOwnColumn ? columns : rows + first_channel + at.column * kElements;
        const int to = kConstantSteps ? target(first) + pass * kTargetStep : target(at);
        copy_async_row<kVectorBytes>(
            tile + to, row_address<kRowChannels * kElementBytes>(from, batch_rows[i]), batch_rows[i]);
      }
    }
  }

  /// The same through registers, where cp.async cannot serve: complete when it returns.
  __device__ __forceinline__ static void copy_now(unsigned char* tile, const Storage* rows, const int* pairs,
                                                  int first_channel) {
#pragma unroll kUnrolled
    for (int pass = 0; pass < kPasses; ++pass) {
      if (!covered(pass)) continue;
      const Place at = place(pass);
      const int from_row = row(pairs, pass, first_channel);
      const Storage* from =
          rows + static_cast<long long>(from_row) * kRowChannels + first_channel + at.column * kElements;
      *reinterpret_cast<Word*>(tile + target(at)) =
          from_row >= 0 ? __ldg(reinterpret_cast<const Word*>(from)) : Word{};
    }
  }
};

}  // namespace flexgemm
