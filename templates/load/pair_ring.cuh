#pragma once

#include "config.cuh"
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

  /// Tiles that a part takes in a row before it skips those of the other parts: so all parts of all groups
  /// move through the rows together, and what one gathers the others find in L2.
  static constexpr int kRun = 4;

  int* slots;         // [kSlots, kTileInts] in shared memory
  const int* source;  // the group's first tile in global memory
  int part;           // of the group's `parts`
  int parts;

  /// Tiles of this part out of the `tiles` of the group.
  __device__ __forceinline__ int count(int tiles) const {
    const int runs = (tiles + kRun - 1) / kRun;
    if (runs <= part) return 0;
    const int own = (runs - part + parts - 1) / parts;
    const bool has_last = (runs - 1) % parts == part;
    return own * kRun - (has_last ? runs * kRun - tiles : 0);
  }

  /// Starts the copy of the pairs of this part's tile number `tile` to a slot. The caller commits and
  /// synchronizes.
  __device__ __forceinline__ void fetch(int tile, int slot) const {
    constexpr int kVectors = kTileInts / 4;
    const int thread = threadIdx.x;
    if (kVectors < Config::kThreads && thread >= kVectors) return;
    const long long in_group = (static_cast<long long>(tile / kRun) * parts + part) * kRun + tile % kRun;
    const int* from = source + in_group * kTileInts;
    int* to = slots + slot * kTileInts;
#pragma unroll
    for (int pass = 0; pass < ceil_divide(kVectors, Config::kThreads); ++pass) {
      const int i = thread + pass * Config::kThreads;
      if (i >= kVectors) continue;
      if constexpr (Config::kAsyncCopy) {
        copy_async<16>(shared_address(to + i * 4), from + i * 4, true);
      } else {
        *reinterpret_cast<int4*>(to + i * 4) = __ldg(reinterpret_cast<const int4*>(from) + i);
      }
    }
  }
  __device__ __forceinline__ void fetch(int tile) const { fetch(tile, tile % kSlots); }
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
};

}  // namespace flexgemm
