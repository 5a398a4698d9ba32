#pragma once

#include "config.cuh"
#include "parameters.cuh"
#include "ptx/copy.cuh"

namespace flexgemm {

/// The pairs of a group of kOffsets kernel offsets on their way through shared memory: for each pair the row
/// of grad_out and, for each offset, the row of feats, or -1. A K tile is kKTile pairs: kBlocks blocks of 32
/// pairs, each [1 + kOffsets][32] integers. Fetched as many tiles before their rows as those are fetched
/// before they are multiplied.
template <class Config>
struct PairRing {
  static constexpr int kBlockPairs = 32;
  static constexpr int kRows = 1 + Config::kOffsets;
  static constexpr int kBlocks = Config::kKTile / kBlockPairs;
  static constexpr int kTileInts = kRows * Config::kKTile;
  static constexpr int kSlots = 2 * (Config::kStages - 1) + 1;
  static constexpr int kBytes = kSlots * kTileInts * 4;
  static_assert(Config::kKTile % kBlockPairs == 0, "a K tile is whole blocks of pairs");

  static constexpr int kRunTiles = 64 / Config::kKTile;
  static_assert(kRunTiles * Config::kKTile == 64, "a run is whole tiles");

  static constexpr int kRuleBytes = 16;

  int* slots;        // [kSlots, kTileInts] in shared memory
  const int4* rule;  // in shared memory: which runs are the part's. Registers are scarcer, and L1 forgets it
  const int* list;   // the pairs of all groups
  int from;          // the next tile to fetch, unless it begins a run

  /// All threads of the block; none may still use the rule of another part.
  __device__ __forceinline__ PairRing(unsigned char* shared, unsigned char* shared_rule,
                                      const GradWeightParameters& parameters, int part)
      : slots(reinterpret_cast<int*>(shared)),
        rule(reinterpret_cast<const int4*>(shared_rule)),
        list(parameters.pairs) {
    if (threadIdx.x == 0)
      *reinterpret_cast<int4*>(shared_rule) =
          __ldg(reinterpret_cast<const int4*>(parameters.parts) + 2 * part);
    __syncthreads();
  }

  /// Starts the copy of the pairs of tile number `tile` to a slot; the tiles come in their order. The caller
  /// commits and synchronizes.
  __device__ __forceinline__ void fetch(int tile, int slot) {
    constexpr int kVectors = kTileInts / 4;
    const int thread = threadIdx.x;
    if (kVectors < Config::kThreads && thread >= kVectors) return;
    if (tile % kRunTiles == 0) from = run(tile / kRunTiles) * kRunTiles;
    const int* source = list + static_cast<long long>(from) * kTileInts;
    ++from;
    int* to = slots + slot * kTileInts;
#pragma unroll
    for (int pass = 0; pass < ceil_divide(kVectors, Config::kThreads); ++pass) {
      const int i = thread + pass * Config::kThreads;
      if (i >= kVectors) continue;
      if constexpr (Config::kAsyncCopy) {
        copy_async<16>(shared_address(to + i * 4), source + i * 4, true);
      } else {
        *reinterpret_cast<int4*>(to + i * 4) = __ldg(reinterpret_cast<const int4*>(source) + i);
      }
    }
  }
  __device__ __forceinline__ void fetch(int tile) { fetch(tile, tile % kSlots); }
  __device__ __forceinline__ static int slot_after(int slot) { return slot + 1 == kSlots ? 0 : slot + 1; }

  /// Pairs of a tile that was fetched: element [operand][pair] is at row(pairs, operand, pair), where operand
  /// 0 is grad_out and 1 + j is feats at offset j of the group.
  __device__ __forceinline__ const int* pairs(int tile) const { return pairs_in(tile % kSlots); }
  __device__ __forceinline__ const int* pairs_in(int slot) const { return slots + slot * kTileInts; }
  __device__ __forceinline__ static int row(const int* pairs, int operand, int pair) {
    return pairs[(pair / kBlockPairs * kRows + operand) * kBlockPairs + pair % kBlockPairs];
  }
  /// Integers from a pair's rows to those `pairs` pairs on, if that many are whole blocks or the pair is
  /// followed by so many in its block.
  __device__ __forceinline__ static constexpr int steps(int pairs) {
    return pairs / kBlockPairs * kRows * kBlockPairs + pairs % kBlockPairs;
  }

 private:
  /// Number of the part's run `i` in the list (GradWeightParameters).
  __device__ __forceinline__ int run(int i) const {
    const int4 words = *rule;
    return words.w + words.x * i + minimum(i, words.y) + maximum(i - words.z, 0);
  }
};

}  // namespace flexgemm
