#pragma once

#include "config.cuh"
#include "load/resident_inputs.cuh"
#include "mma/wgmma_tile.cuh"
#include "ptx/mma.cuh"
#include "ptx/wgmma_registers.cuh"

namespace flexgemm {

/// WgmmaTile with its first operand from registers: rows that each lane names come from resident inputs
/// through ldmatrix, wherever they lie, while the products before run. Weights are a K tile of 128 bytes a
/// row in shared memory, as there. Warpgroups take blocks of 64 rows in turns.
template <class Config>
struct WgmmaRows : WgmmaTile<Config> {
  using Base = WgmmaTile<Config>;
  using Inputs = ResidentInputs<Config>;
  static constexpr int kRowBlocks = Base::kRowBlocks;
  static constexpr int kWarpgroups = Config::kWarpsM / 4;
  static constexpr int kSlices = Base::kSlices;
  static constexpr int kKSteps = 4;  // wgmma instructions a K tile, 32 bytes of K each
  static constexpr int kSets = kRowBlocks % 2 == 0 ? 2 : 1;  // of fragments: one is read, one loaded
  static_assert(Config::kWarpsN == 1, "a warpgroup has all columns");

  unsigned fragments[kSets][kKSteps][4];

  __device__ __forceinline__ static int slice_row(int warp_row, int slice) {
    return (slice * kWarpgroups + warp_row / 4) * 64 + warp_row % 4 * 16;
  }

  /// Loads the warp's 16 rows of row block i for a K tile: `place(i, k)` is where the lane's row lies for the
  /// k-th 32 bytes of the tile, `chunk(k)` the first of its 16-byte chunks there.
  template <class Place, class Chunk>
  __device__ __forceinline__ void load(int i, unsigned inputs, const Place& place, const Chunk& chunk) {
    const int upper = threadIdx.x % 32 / 16;
#pragma unroll
    for (int k = 0; k < kKSteps; ++k) {
      load_matrix_x4(fragments[i % kSets][k], Inputs::address(inputs, place(i, k), chunk(k) + upper));
    }
  }

  /// Begins row block i's products of the fragments loaded for it and the K tile of weights that `b`
  /// describes, if they are wanted. Afterwards the other set of fragments may be loaded: all products but
  /// these are complete.
  __device__ __forceinline__ void multiply(int i, unsigned long long b, bool wanted) {
    // A branch of its own from fence to commit: ptxas would serialize products of several branches.
    if (wanted) {
      wgmma_fence();
#pragma unroll
      for (int k = 0; k < kKSteps; ++k) {
        WgmmaRegisters<Config::kCompute, Config::kColumnTile>::run(Base::accumulators[i],
                                                                   fragments[i % kSets][k], b + k * 2);
      }
      wgmma_commit();
      wgmma_wait<kSets - 1>();
    } else {
      wgmma_wait<0>();
    }
    release((i + 1) % kSets);
  }

  /// Waits for the last products; the accumulators are complete afterwards.
  __device__ __forceinline__ void finish() {
    wgmma_wait<0>();
#pragma unroll
    for (int set = 0; set < kSets; ++set) release(set);
  }

 private:
  __device__ __forceinline__ void release(int set) {
#pragma unroll
    for (int k = 0; k < kKSteps; ++k) wgmma_release(fragments[set][k]);
  }
};

}  // namespace flexgemm
