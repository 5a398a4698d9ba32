#pragma once

#include "config.cuh"
#include "load/resident_inputs.cuh"
#include "mma/wgmma_tile.cuh"
#include "ptx/mma.cuh"
#include "ptx/wgmma_registers.cuh"

namespace flexgemm {

/// WgmmaTile with its first operand from registers: rows that each lane names come from resident inputs
/// through ldmatrix, wherever they lie. Weights are a K tile of 128 bytes a row in shared memory, as there.
/// Warpgroups take blocks of 64 rows in turns.
template <class Config>
struct WgmmaRows : WgmmaTile<Config> {
  using Base = WgmmaTile<Config>;
  using Inputs = ResidentInputs<Config>;
  static constexpr int kRowBlocks = Base::kRowBlocks;
  static constexpr int kWarpgroups = Config::kWarpsM / 4;
  static constexpr int kSlices = Base::kSlices;
  static constexpr int kKSteps = 4;  // wgmma instructions a K tile, 32 bytes of K each
  static constexpr int kSets = kRowBlocks > 1 ? 2 : 1;
  static_assert(Config::kWarpsN == 1, "a warpgroup has all columns");

  unsigned fragments[kSets][kKSteps][4];

  __device__ __forceinline__ static int slice_row(int warp_row, int slice) {
    return (slice * kWarpgroups + warp_row / 4) * 64 + warp_row % 4 * 16;
  }

  /// Multiplies those row blocks i for which `wanted(i)`, the same for all threads of the warpgroup.
  /// `place(i, k)` is where the lane's row of block i lies for the k-th 32 bytes of the tile, and
  /// `chunk(k)` the first of its 16-byte chunks there. The products are complete afterwards.
  template <class Wanted, class Place, class Chunk>
  __device__ __forceinline__ void multiply(unsigned inputs, const unsigned char* weight, const Wanted& wanted,
                                           const Place& place, const Chunk& chunk) {
    const unsigned long long b = wgmma_descriptor(shared_address(weight));
    const int upper = threadIdx.x % 32 / 16;
#pragma unroll
    for (int i = 0; i < kRowBlocks; ++i) {
      // A branch of its own from fence to commit: ptxas would serialize products of several branches.
      if (!wanted(i)) {
        if (kRowBlocks > kSets) wgmma_commit();  // keeps the count of groups behind a set of fragments
        continue;
      }
      unsigned(&fragment)[kKSteps][4] = fragments[i % kSets];
      if (i >= kSets) {
        wgmma_wait<kSets - 1>();
#pragma unroll
        for (int k = 0; k < kKSteps; ++k) wgmma_release(fragment[k]);
      }
#pragma unroll
      for (int k = 0; k < kKSteps; ++k)
        load_matrix_x4(fragment[k], Inputs::address(inputs, place(i, k), chunk(k) + upper));
      wgmma_fence();
#pragma unroll
      for (int k = 0; k < kKSteps; ++k)
        WgmmaRegisters<Config::kCompute, Config::kColumnTile>::run(Base::accumulators[i], fragment[k],
                                                                   b + k * 2);
      wgmma_commit();
    }
    wgmma_wait<0>();
#pragma unroll
    for (int s = 0; s < kSets; ++s) {
#pragma unroll
      for (int k = 0; k < kKSteps; ++k) wgmma_release(fragments[s][k]);
    }
  }
};

}  // namespace flexgemm
