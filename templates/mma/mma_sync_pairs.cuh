#pragma once

#include "mma/mma_sync.cuh"

namespace flexgemm {

/// MmaSync for operands that lie MN-major, [pair, channel]: both fragments are transposed as they are loaded,
/// by ldmatrix for 16-bit types, element by element for tf32.
template <class Config, class FirstLayout, class SecondLayout>
struct MmaSyncPairs : MmaSync<Config> {
  using Base = MmaSync<Config>;
  static constexpr int kFragmentPairs = sizeof(typename Config::Storage) == 2 ? 16 : 8;
  // Single elements, as tf32 is loaded, leave ptxas too few registers to load far ahead.
  static constexpr int kUnrolled =
      sizeof(typename Config::Storage) == 2 ? Config::kKTile / kFragmentPairs : 1;

  /// Adds the product of a [kKTile, row_tile] and a [kKTile, column_tile] tile over the pairs.
  __device__ __forceinline__ void multiply(const unsigned char* first, const unsigned char* second,
                                           int warp_row, int warp_column) {
#pragma unroll kUnrolled
    for (int k = 0; k < Config::kKTile; k += kFragmentPairs) {
      unsigned a[Base::kRowFragments][4];
      unsigned b[Base::kColumnFragments / 2][4];
#pragma unroll
      for (int i = 0; i < Base::kRowFragments; ++i) {
        load_a(a[i], first, k, warp_row * Base::kWarpRows + i * 16);
      }
#pragma unroll
      for (int j = 0; j < Base::kColumnFragments / 2; ++j) {
        load_b(b[j], second, k, warp_column * Base::kWarpColumns + j * 16);
      }
#pragma unroll
      for (int i = 0; i < Base::kRowFragments; ++i) {
#pragma unroll
        for (int j = 0; j < Base::kColumnFragments; ++j) {
          mma<Config::kCompute>(this->accumulators[i][j], a[i], b[j / 2][(j % 2) * 2],
                                b[j / 2][(j % 2) * 2 + 1]);
        }
      }
    }
  }

 private:
  /// The 16 rows from `row` on times the fragment's pairs.
  __device__ __forceinline__ static void load_a(unsigned (&fragment)[4], const unsigned char* tile, int k,
                                                int row) {
    const int lane = threadIdx.x % 32;
    if constexpr (sizeof(typename Config::Storage) == 2) {
      const int pair = k + lane / 16 * 8 + lane % 8;
      load_matrix_x4_transposed(fragment,
                                shared_address(tile) + FirstLayout::at(pair, (row + lane / 8 % 2 * 8) * 2));
    } else {
      const int pair = k + lane % 4;
      fragment[0] = element<FirstLayout>(tile, pair, row + lane / 4);
      fragment[1] = element<FirstLayout>(tile, pair, row + lane / 4 + 8);
      fragment[2] = element<FirstLayout>(tile, pair + 4, row + lane / 4);
      fragment[3] = element<FirstLayout>(tile, pair + 4, row + lane / 4 + 8);
    }
  }
  /// The fragment's pairs times the 16 columns from `column` on: two fragments of eight columns.
  __device__ __forceinline__ static void load_b(unsigned (&fragments)[4], const unsigned char* tile, int k,
                                                int column) {
    const int lane = threadIdx.x % 32;
    if constexpr (sizeof(typename Config::Storage) == 2) {
      const int pair = k + lane / 8 % 2 * 8 + lane % 8;
      load_matrix_x4_transposed(fragments,
                                shared_address(tile) + SecondLayout::at(pair, (column + lane / 16 * 8) * 2));
    } else {
      const int pair = k + lane % 4;
      fragments[0] = element<SecondLayout>(tile, pair, column + lane / 4);
      fragments[1] = element<SecondLayout>(tile, pair + 4, column + lane / 4);
      fragments[2] = element<SecondLayout>(tile, pair, column + lane / 4 + 8);
      fragments[3] = element<SecondLayout>(tile, pair + 4, column + lane / 4 + 8);
    }
  }
  template <class Layout>
  __device__ __forceinline__ static unsigned element(const unsigned char* tile, int pair, int channel) {
    return round_to_tf32(*reinterpret_cast<const unsigned*>(tile + Layout::at(pair, channel * 4)));
  }
};

}  // namespace flexgemm
