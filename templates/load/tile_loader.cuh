#pragma once

#include "config.cuh"
#include "load/swizzle.cuh"
#include "ptx/copy.cuh"

namespace flexgemm {

/// Moves a [kRows, kKTile] tile from global to swizzled shared memory with vectors of kVectorBytes. Every
/// thread owns one column of vectors and every kRowStride-th row. A `Source` turns positions into addresses:
///   Line Source::line(int step, int channel, bool valid)   once a K tile,
///   int Source::row(Line, int row)                         once a row: the row of the operand, -1: none,
///   const void* Source::address(Line, int operand_row)     where that row's vector begins.
template <class Config, int kRows, int kVectorBytes>
struct TileLoader {
  static constexpr int kElementBytes = sizeof(typename Config::Storage);
  static constexpr int kRowBytes = Config::kKTile * kElementBytes;
  static constexpr int kColumns = kRowBytes / kVectorBytes;
  static constexpr int kRowStride = Config::kThreads / kColumns;
  static constexpr int kPasses = ceil_divide(kRows, kRowStride);
  static constexpr int kBatch = minimum(kPasses, 8);
  static constexpr bool kEveryRow = kPasses * kRowStride == kRows;
  static_assert(Config::kThreads % kColumns == 0, "threads must cover whole tile rows");
  static_assert((Config::kInChannels * kElementBytes) % kVectorBytes == 0,
                "a vector must not cross two steps");

  using Word = Vector<kVectorBytes>;

  /// Position of this thread's vectors in the flattened reduction: step and channel, for a K tile.
  struct Position {
    int step;
    int channel;
    bool valid;
  };

  __device__ __forceinline__ static int column() { return threadIdx.x % kColumns; }
  __device__ __forceinline__ static int first_row() { return threadIdx.x / kColumns; }

  __device__ __forceinline__ static Position position(int k_tile, int steps) {
    constexpr int kElements = kVectorBytes / kElementBytes;
    if constexpr (Config::kInChannels % Config::kKTile == 0) {
      constexpr int kTilesPerStep = Config::kInChannels / Config::kKTile;
      const int step = k_tile / kTilesPerStep;
      return {step, (k_tile - step * kTilesPerStep) * Config::kKTile + column() * kElements, true};
    } else {
      const int k = k_tile * Config::kKTile + column() * kElements;
      const int step = k / Config::kInChannels;
      return {step, k - step * Config::kInChannels, step < steps};
    }
  }

  /// The operand's row at a pass, -1: none.
  template <class Source>
  __device__ __forceinline__ static int operand_row(const Source& source, const typename Source::Line& line,
                                                    const Position& at, int pass) {
    const int row = first_row() + pass * kRowStride;
    return at.valid && (kEveryRow || row < kRows) ? source.row(line, row) : -1;
  }

  /// Starts asynchronous copies of the whole tile to `target` (a shared-memory address).
  template <class Source>
  __device__ __forceinline__ static void copy(unsigned target, const Source& source, int k_tile, int steps) {
    const Position at = position(k_tile, steps);
    const auto line = source.line(at.step, at.channel, at.valid);
    const unsigned first = target + swizzled<kRowBytes>(first_row(), column() * kVectorBytes);
#pragma unroll
    for (int batch = 0; batch < kPasses; batch += kBatch) {
      int rows[kBatch];  // all read before the first copy, which no read may pass
#pragma unroll
      for (int i = 0; i < kBatch && batch + i < kPasses; ++i)
        rows[i] = operand_row(source, line, at, batch + i);
#pragma unroll
      for (int i = 0; i < kBatch && batch + i < kPasses; ++i) {
        const int row = first_row() + (batch + i) * kRowStride;
        if (!kEveryRow && row >= kRows) continue;
        const unsigned to = kRowStride % 8 == 0 ? first + (batch + i) * kRowStride * kRowBytes
                                                : target + swizzled<kRowBytes>(row, column() * kVectorBytes);
        copy_async_row<kVectorBytes>(to, source.address(line, rows[i]), rows[i]);
      }
    }
  }

  /// The same in two halves through registers, where cp.async cannot serve.
  template <class Source>
  __device__ __forceinline__ static void read(Word (&words)[kPasses], const Source& source, int k_tile,
                                              int steps) {
    const Position at = position(k_tile, steps);
    const auto line = source.line(at.step, at.channel, at.valid);
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const int row = operand_row(source, line, at, pass);
      words[pass] = row >= 0 ? __ldg(static_cast<const Word*>(source.address(line, row))) : Word{};
    }
  }

  __device__ __forceinline__ static void write(unsigned char* target, const Word (&words)[kPasses]) {
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const int row = first_row() + pass * kRowStride;
      if (kEveryRow || row < kRows) {
        *reinterpret_cast<Word*>(target + swizzled<kRowBytes>(row, column() * kVectorBytes)) = words[pass];
      }
    }
  }
};

}  // namespace flexgemm
