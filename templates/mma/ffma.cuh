#pragma once

#include "config.cuh"
#include "load/swizzle.cuh"
#include "mma/folded_sums.cuh"
#include "ptx/convert.cuh"

namespace flexgemm {

/// A warp's share of a tile product in float arithmetic: exact products for f32, and the path of types that
/// the architecture's matrix unit lacks. The lanes form a 4 x 8 grid; lane (r, c) owns the rows r + 4 i and
/// the columns c + 8 j of the warp tile, so that each load of shared memory touches distinct banks or one
/// address.
template <class Config>
struct Ffma : FoldedSums<Config> {
  using Base = FoldedSums<Config>;
  using Storage = typename Config::Storage;
  static constexpr int kRowBytes = Config::kKTile * sizeof(Storage);
  static constexpr int kGroup = 4;  // elements of K loaded at a time

  /// Adds the product of a [row_tile, kKTile] and a [column_tile, kKTile] tile.
  __device__ __forceinline__ void multiply(const unsigned char* feats, const unsigned char* weight,
                                           int warp_row, int warp_column) {
    this->begin_tile();
    const int lane = threadIdx.x % 32;
    const int first_row = warp_row * Base::kWarpRows + lane / 8;
    const int first_column = warp_column * Base::kWarpColumns + lane % 8;
#pragma unroll 2  // all of it makes ptxas hold more operands than there are registers
    for (int k = 0; k < Config::kKTile; k += kGroup) {
      float a[Base::kLaneRows][kGroup];
      float b[Base::kLaneColumns][kGroup];
#pragma unroll
      for (int i = 0; i < Base::kLaneRows; ++i) load(a[i], feats, first_row + 4 * i, k);
#pragma unroll
      for (int j = 0; j < Base::kLaneColumns; ++j) load(b[j], weight, first_column + 8 * j, k);
#pragma unroll
      for (int e = 0; e < kGroup; ++e) {
#pragma unroll
        for (int i = 0; i < Base::kLaneRows; ++i) {
#pragma unroll
          for (int j = 0; j < Base::kLaneColumns; ++j)
            this->sums[i][j] = fmaf(a[i][e], b[j][e], this->sums[i][j]);
        }
      }
    }
  }

  /// Writes the 16 rows of slice `slice` of the warp tile to shared memory, row-major with `pitch` floats a
  /// row.
  __device__ __forceinline__ void store_slice(int slice, float* target, int pitch) const {
    const int lane = threadIdx.x % 32;
    this->visit_slice(slice, [&](int i, int j, float result) {
      target[(lane / 8 + 4 * (i % 4)) * pitch + lane % 8 + 8 * j] = result;
    });
  }

 private:
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
