#pragma once

#include "config.cuh"

namespace flexgemm {

/// Accumulators in float arithmetic: a warp's lanes form a 4 x 8 grid, each with kLaneRows x kLaneColumns
/// sums. Sums of at most kFoldElements products are folded into the totals: the rounding error then grows
/// with the square root of the number of folds instead of products, which keeps reductions of 10^5 products
/// within 1e-6 of exact.
template <class Config>
struct FoldedSums {
  static constexpr int kWarpRows = Config::kRowTile / Config::kWarpsM;
  static constexpr int kWarpColumns = Config::kColumnTile / Config::kWarpsN;
  static constexpr int kLaneRows = kWarpRows / 4;
  static constexpr int kLaneColumns = kWarpColumns / 8;
  static_assert(kWarpRows % 16 == 0 && kWarpColumns % 8 == 0, "a warp tile is a multiple of 16 x 8");

  static constexpr int kFoldElements = 512;
  static constexpr int kFoldTiles = maximum(kFoldElements / Config::kKTile, 1);

  float sums[kLaneRows][kLaneColumns];
  float totals[kLaneRows][kLaneColumns];
  int tiles_since_fold = 0;

  static constexpr int kSlices = kWarpRows / 16;
  static constexpr int kPending = 0;  // products are complete when multiply() returns

  __device__ __forceinline__ FoldedSums() : sums{}, totals{} {}

  __device__ __forceinline__ static int warp_row(int warp) { return warp / Config::kWarpsN; }
  __device__ __forceinline__ static int warp_column(int warp) { return warp % Config::kWarpsN; }
  /// First row in the tile of a slice of 16 rows that this warp holds.
  __device__ __forceinline__ static int slice_row(int warp_row, int slice) {
    return warp_row * kWarpRows + slice * 16;
  }
  __device__ __forceinline__ static void publish_copies() {}
  __device__ __forceinline__ void finish() {}

  /// To be called before the products of each K tile.
  __device__ __forceinline__ void begin_tile() {
    if (tiles_since_fold == kFoldTiles) fold();
    ++tiles_since_fold;
  }

  /// Hands the results of slice `slice`'s rows to `store(i, j, result)`.
  template <class Store>
  __device__ __forceinline__ void visit_slice(int slice, const Store& store) const {
#pragma unroll
    for (int i = 0; i < kLaneRows; ++i) {
      if (i / 4 != slice) continue;  // keeps the register index a constant
#pragma unroll
      for (int j = 0; j < kLaneColumns; ++j) store(i, j, totals[i][j] + sums[i][j]);
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
};

}  // namespace flexgemm
