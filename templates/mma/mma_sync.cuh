#pragma once

#include "config.cuh"
#include "load/swizzle.cuh"
#include "ptx/convert.cuh"
#include "ptx/copy.cuh"
#include "ptx/mma.cuh"

namespace flexgemm {

/// A warp's share of a tile product on the matrix unit: kWarpRows x kWarpColumns floats in registers, as a
/// grid of 16 x 8 fragments. Both operands lie K-major and swizzled in shared memory.
template <class Config>
struct MmaSync {
  static constexpr int kWarpRows = Config::kRowTile / Config::kWarpsM;
  static constexpr int kWarpColumns = Config::kColumnTile / Config::kWarpsN;
  static constexpr int kRowFragments = kWarpRows / 16;
  static constexpr int kColumnFragments = kWarpColumns / 8;
  static constexpr int kRowBytes = Config::kKTile * sizeof(typename Config::Storage);
  static constexpr int kKSteps = kRowBytes / 32;
  static_assert(kWarpRows % 16 == 0 && kWarpColumns % 16 == 0, "a warp tile is a multiple of 16 x 16");

  float accumulators[kRowFragments][kColumnFragments][4];

  static constexpr int kSlices = kWarpRows / 16;
  static constexpr int kPending = 0;  // products are complete when multiply() returns

  __device__ __forceinline__ MmaSync() : accumulators{} {}

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
    const int lane = threadIdx.x % 32;
    const unsigned feats_base = shared_address(feats);
    const unsigned weight_base = shared_address(weight);
#pragma unroll
    for (int k = 0; k < kKSteps; ++k) {
      unsigned a[kRowFragments][4];
      unsigned b[kColumnFragments / 2][4];
#pragma unroll
      for (int i = 0; i < kRowFragments; ++i) {
        const int row = warp_row * kWarpRows + i * 16 + lane % 16;
        load_matrix_x4(a[i], feats_base + swizzled<kRowBytes>(row, k * 32 + (lane / 16) * 16));
        round_operand(a[i]);
      }
#pragma unroll
      for (int j = 0; j < kColumnFragments / 2; ++j) {
        const int row = warp_column * kWarpColumns + j * 16 + (lane / 16) * 8 + lane % 8;
        load_matrix_x4(b[j], weight_base + swizzled<kRowBytes>(row, k * 32 + ((lane / 8) % 2) * 16));
        round_operand(b[j]);
      }
#pragma unroll
      for (int i = 0; i < kRowFragments; ++i) {
#pragma unroll
        for (int j = 0; j < kColumnFragments; ++j) {
          mma<Config::kCompute>(accumulators[i][j], a[i], b[j / 2][(j % 2) * 2], b[j / 2][(j % 2) * 2 + 1]);
        }
      }
    }
  }

  /// Writes the 16 rows of slice `slice` of the warp tile to shared memory, row-major with `pitch` floats a
  /// row.
  __device__ __forceinline__ void store_slice(int slice, float* target, int pitch) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < kRowFragments; ++i) {
      if (i != slice) continue;  // keeps the register index a constant
#pragma unroll
      for (int j = 0; j < kColumnFragments; ++j) {
        float* upper = target + (lane / 4) * pitch + j * 8 + (lane % 4) * 2;
        float* lower = upper + 8 * pitch;
        *reinterpret_cast<float2*>(upper) = make_float2(accumulators[i][j][0], accumulators[i][j][1]);
        *reinterpret_cast<float2*>(lower) = make_float2(accumulators[i][j][2], accumulators[i][j][3]);
      }
    }
  }

 private:
  __device__ __forceinline__ static void round_operand(unsigned (&fragment)[4]) {
    if constexpr (Config::kCompute == ComputeType::tf32) {
#pragma unroll
      for (int i = 0; i < 4; ++i) fragment[i] = round_to_tf32(fragment[i]);
    }
  }
};

}  // namespace flexgemm
