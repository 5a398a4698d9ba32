#pragma once

#include "config.cuh"

namespace flexgemm {

/// The kernel offsets of a set in ascending order, cut into K tiles of 128 bytes: kOffsetsATile of them a
/// tile where rows are short, else an offset for kTilesAnOffset tiles.
template <class Config>
struct OffsetWalk {
  static constexpr int kRowBytes = Config::kInChannels * static_cast<int>(sizeof(typename Config::Storage));
  static constexpr int kOffsetsATile = maximum(1, 128 / kRowBytes);
  static constexpr int kTilesAnOffset = maximum(1, kRowBytes / 128);

  unsigned rest;  // offsets from the present tile on
  int part = 0;   // of the present offset's tiles

  __device__ explicit OffsetWalk(unsigned offsets) : rest(offsets) {}

  __device__ static int tiles(unsigned offsets) {
    return ceil_divide(__popc(offsets), kOffsetsATile) * kTilesAnOffset;
  }
  /// The tile's offsets, -1 where there are no more.
  __device__ __forceinline__ void offsets(int (&result)[kOffsetsATile]) const {
    unsigned left = rest;
#pragma unroll
    for (int i = 0; i < kOffsetsATile; ++i) {
      result[i] = __ffs(static_cast<int>(left)) - 1;
      left &= left - 1;
    }
  }
  /// The index-th of them.
  __device__ __forceinline__ int offset(int index) const {
    unsigned left = rest;
#pragma unroll
    for (int i = 0; i < kOffsetsATile - 1; ++i) left &= i < index ? left - 1 : left;
    return __ffs(static_cast<int>(left)) - 1;
  }
  /// The same as a set.
  __device__ __forceinline__ unsigned set() const {
    unsigned left = rest;
#pragma unroll
    for (int i = 0; i < kOffsetsATile; ++i) left &= left - 1;
    return rest & ~left;
  }
  __device__ __forceinline__ void advance() {
    if (kTilesAnOffset > 1 && ++part < kTilesAnOffset) return;
    part = 0;
    rest &= ~set();
  }
};

}  // namespace flexgemm
