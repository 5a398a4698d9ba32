#pragma once

#include "config.cuh"
#include "parameters.cuh"
#include "ptx/barrier.cuh"
#include "ptx/copy.cuh"

namespace flexgemm {

/// One output tile of one group of offsets, for one range of output channels.
struct WorkItem {
  int tile;           // of all groups
  int first_channel;  // output channel
  int column_tile;

  __device__ __forceinline__ long long first_step(const PersistentGemmParameters& parameters) const {
    return __ldg(parameters.tile_begin + tile);
  }
  __device__ __forceinline__ int steps(const PersistentGemmParameters& parameters) const {
    return static_cast<int>(__ldg(parameters.tile_begin + tile + 1) - first_step(parameters));
  }
  __device__ __forceinline__ int group(const PersistentGemmParameters& parameters) const {
    return tile / parameters.tiles_per_group;
  }
  __device__ __forceinline__ int column(const PersistentGemmParameters&) const { return column_tile; }
};

/// The work items that a block computes, one after the other, column tiles fastest. Blocks claim them in
/// order, so that tiles of unlike weight fill the device evenly and an item never waits for one that nobody
/// has begun. What a tile sums, and in which order, does not depend on who claims it. The producer claims one
/// item ahead and tells every warp through a ring in shared memory.
template <class Config>
struct WorkItems {
  static constexpr bool kClaimed = true;
  static constexpr int kColumnTiles = ceil_divide(Config::kOutChannels, Config::kColumnTile);
  // The producer hands over a stage only after filling kLag more (gather_producer.cuh), which may belong to
  // as many items: the ring holds at least these.
  static constexpr int kSlots = 8;
  static constexpr int kReaders = Config::kThreads / 32;  // warps
  static constexpr int kBytes = kSlots * 24;
  static_assert(kSlots >= Config::kStages, "the ring of items is as long as that of stages");

  int count;   // of all blocks
  int* slots;  // [kSlots], after their barriers: full [kSlots], empty [kSlots]
  unsigned barriers;
  int slot = 0;
  unsigned parity = 0;

  __device__ __forceinline__ WorkItems(const PersistentGemmParameters& parameters, unsigned char* shared)
      : count(parameters.tiles * kColumnTiles),
        slots(reinterpret_cast<int*>(shared + kSlots * 16)),
        barriers(shared_address(shared)),
        order_(parameters.tile_order) {}

  __device__ __forceinline__ static void init(unsigned barriers) {
    for (int i = 0; i < kSlots; ++i) {
      barrier_init(barriers + i * 8, 1);
      barrier_init(barriers + (kSlots + i) * 8, kReaders);
    }
  }

  /// The next item, or false after the last.
  __device__ __forceinline__ bool next(WorkItem& taken) {
    barrier_wait(barriers + slot * 8, parity);
    const int position = slots[slot];
    __syncwarp();
    if (threadIdx.x % 32 == 0) barrier_arrive(barriers + (kSlots + slot) * 8);
    advance(slot, parity);
    if (position >= count) return false;
    const int at = position / kColumnTiles;
    taken.tile = order_ != nullptr ? __ldg(order_ + at) : at;
    taken.column_tile = position % kColumnTiles;
    taken.first_channel = taken.column_tile * Config::kColumnTile;
    return true;
  }

  /// For the one thread that claims: hands `position` to every warp of the block. Its ring position starts at
  /// slot 0 with parity 1.
  __device__ __forceinline__ void publish(int position, int& claim_slot, unsigned& claim_parity) const {
    barrier_wait(barriers + (kSlots + claim_slot) * 8, claim_parity);
    slots[claim_slot] = position;
    barrier_arrive(barriers + claim_slot * 8);
    advance(claim_slot, claim_parity);
  }

 private:
  __device__ __forceinline__ static void advance(int& slot, unsigned& parity) {
    if (++slot == kSlots) {
      slot = 0;
      parity ^= 1;
    }
  }

  const int* order_;
};

}  // namespace flexgemm
