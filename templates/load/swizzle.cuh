#pragma once

namespace flexgemm {

/// Byte offset of byte `column` of row `row` in a shared-memory tile with rows of kRowBytes (64 or 128)
/// bytes. The 16-byte chunks of a row are permuted so that eight rows read at the same column touch all 32
/// banks once.
template <int kRowBytes>
__device__ __forceinline__ int swizzled(int row, int column) {
  static_assert(kRowBytes == 64 || kRowBytes == 128, "a tile row is 64 or 128 bytes");
  const int chunk = column >> 4;
  const int permuted = kRowBytes == 128 ? chunk ^ (row & 7) : chunk ^ ((row >> 1) & 3);
  return row * kRowBytes + (permuted << 4) + (column & 15);
}

}  // namespace flexgemm
