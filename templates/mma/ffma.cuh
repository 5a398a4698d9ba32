#pragma once

#include "config.cuh"
#include "load/swizzle.cuh"
#include "ptx/convert.cuh"

namespace flexgemm {

/// A warp's share of a tile product in float arithmetic: exact products for f32, and the path of types that
/// the architecture's matrix unit lacks. The lanes form a 4 x 8 grid; lane (r, c) owns the rows r + 4 i and
/// the columns c + 8 j of the warp tile, so that each load of shared memory touches distinct banks or one
/// address.
template <class Config>
struct Ffma {
  using Storage = typename Config::Storage;
  static constexpr int kWarpRows = Config::kRowTile / Config::kWarpsM;
  static constexpr int kWarpColumns = Config::kColumnTile / Config::kWarpsN;
  static constexpr int kLaneRows = kWarpRows / 4;
  static constexpr int kLaneColumns = kWarpColumns / 8;
  static constexpr int kRowBytes = Config::kKTile * sizeof(Storage);
  static constexpr int kGroup = 4;  // elements of K loaded at a time
  static_assert(kWarpRows % 16 == 0 && kWarpColumns % 8 == 0, "a warp tile is a multiple of 16 x 8");

  // Sums of at most kFoldElements products are folded into the totals: the rounding error then grows with the
  // square root of the number of folds instead of products, which keeps reductions of 10^5 products within
  // 1e-6 of exact.
  static constexpr int kFoldElements = 512;
  static constexpr int kFoldTiles = maximum(kFoldElements / Config::kKTile, 1);

  float sums[kLaneRows][kLaneColumns];
  float totals[kLaneRows][kLaneColumns];
  int tiles_since_fold = 0;

  static constexpr int kSlices = kWarpRows / 16;
  static constexpr int kPending = 0;  // products are complete when multiply() returns

  __device__ __forceinline__ Ffma() : sums{}, totals{} {}

  __device__ __forceinline__ static int warp_row(int warp) { return warp / Config::kWarpsN; }
  __device__ __forceinline__ static int warp_column(int warp) { return warp % Config::kWarpsN; }
  /// First row in the tile of a slice of 16 rows that this warp holds.
  __device__ __forceinline__ static int slice_row(int warp_row, int slice) {
    return warp_row * kWarpRows + slice * 16;
  }
  __device__ __forceinline__ static void publish_copies() {}
  __device__ __forceinline__ void finish() {}

  /// Adds the product of a [row_tile, kKTile] and a [column_tile, kKTile] tile.
  __device__ __forceinline__ void multiply(const unsigned char* feats, const unsigned char* weight,
                                           int warp_row, int warp_column) {
    if (tiles_since_fold == kFoldTiles) fold();
    ++tiles_since_fold;
    const int lane = threadIdx.x % 32;
    const int first_row = warp_row * kWarpRows + lane / 8;
    const int first_column = warp_column * kWarpColumns + lane % 8;
#pragma unroll 2  // all of it makes ptxas hold more operands than there are registers
    for (int k = 0; k < Config::kKTile; k += kGroup) {
      float a[kLaneRows][kGroup];
      float b[kLaneColumns][kGroup];
#pragma unroll
      for (int i = 0; i < kLaneRows; ++i) load(a[i], feats, first_row + 4 * i, k);
#pragma unroll
      for (int j = 0; j < kLaneColumns; ++j) load(b[j], weight, first_column + 8 * j, k);
#pragma unroll
      for (int e = 0; e < kGroup; ++e) {
#pragma unroll
        for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll
          for (int j = 0; j < kLaneColumns; ++j) sums[i][j] = fmaf(a[i][e], b[j][e], sums[i][j]);
        }
      }
    }
  }

  /// Writes the 16 rows of slice `slice` of the warp tile to shared memory, row-major with `pitch` floats a
  /// row.
  __device__ __forceinline__ void store_slice(int slice, float* target, int pitch) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      if (i / 4 != slice) continue;  // keeps the register index a constant
#pragma unroll
      for (int j = 0; j < kLaneColumns; ++j) {
        target[(lane / 8 + 4 * (i % 4)) * pitch + lane % 8 + 8 * j] = totals[i][j] + sums[i][j];
      }
    }
  }

 private:
  __device__ __forceinline__ void fold() {
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
#pragma unroll
      for (int j = 0; j < kLaneColumns; ++j) {
        totals[i][j] += sums[i][j];
        sums[i][j] = 0.0f;
      }
    }
    tiles_since_fold = 0;
  }

  __device__ __forceinline__ static void load(float (&values)[kGroup], const unsigned char* tile, int row,
                                              int k) {
    const unsigned char* source = tile + swizzled<kRowBytes>(row, k * static_cast<int>(sizeof(Storage)));
    if constexpr (sizeof(Storage) == 4) {
      const float4 word = *reinterpret_cast<const float4*>(source);
      values[0] = word.x;
      values[1] = word.y;
      values[2] = word.z;
      values[3] = word.w;
    } else {
      const ushort4 word = *reinterpret_cast<const ushort4*>(source);
      values[0] = to_float(Storage{word.x});
      values[1] = to_float(Storage{word.y});
      values[2] = to_float(Storage{word.z});
      values[3] = to_float(Storage{word.w});
    }
  }
};

}  // namespace flexgemm
