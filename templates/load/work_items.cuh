#pragma once

#include "config.cuh"
#include "parameters.cuh"
#include "ptx/barrier.cuh"
#include "ptx/copy.cuh"

namespace flexgemm {

/// One output tile of one group of offsets, for one range of output channels.
struct WorkItem {
  int tile;  // of all groups
  int column_tile;
  int steps;
  long long first_step;

  __device__ __forceinline__ int group(const PersistentGemmParameters& parameters) const {
    return tile / parameters.tiles_per_group;
  }
};

/// The tile at place `position` of the order of work.
template <class Config>
__device__ __forceinline__ int tile_at(const PersistentGemmParameters& parameters, int position) {
  const int at = position / ceil_divide(Config::kOutChannels, Config::kColumnTile);
  return parameters.tile_order != nullptr ? __ldg(parameters.tile_order + at) : at;
}

/// The work items that a block computes, one after the other, column tiles fastest. Blocks claim them in
/// order, so that tiles of unlike weight fill the device evenly and an item never waits for one that nobody
/// has begun. What a tile sums, and in which order, does not depend on who claims it. One thread of the
/// producer claims the next item and looks it up while the present one is gathered, a memory access a step,
/// and tells every warp through a ring in shared memory: nobody waits for global memory between two items.
template <class Config>
struct WorkItems {
  static constexpr bool kClaimed = true;
  static constexpr int kColumnTiles = ceil_divide(Config::kOutChannels, Config::kColumnTile);
  static constexpr int kSlots = 4;
  static constexpr int kReaders = Config::kThreads / 32;  // warps
  static constexpr int kSlotInts = 8;
  static constexpr int kItemsBegin = kSlots * 16;  // after the barriers: full [kSlots], empty [kSlots]
  static constexpr int kBytes = kItemsBegin + kSlots * kSlotInts * 4;

  __device__ __forceinline__ WorkItems(const PersistentGemmParameters& parameters, unsigned char* shared)
      : parameters_(parameters),
        slots_(reinterpret_cast<int*>(shared + kItemsBegin)),
        barriers_(shared_address(shared)) {}

  __device__ __forceinline__ static void init(unsigned barriers) {
    for (int i = 0; i < kSlots; ++i) {
      barrier_init(barriers + i * 8, 1);
      barrier_init(barriers + (kSlots + i) * 8, kReaders);
    }
  }

  /// The next item, or false after the last. For whole warps.
  __device__ __forceinline__ bool next(WorkItem& taken) {
    barrier_wait(barriers_ + slot_ * 8, parity_);
    const int* slot = slots_ + slot_ * kSlotInts;
    taken.tile = slot[0];
    taken.column_tile = slot[1];
    taken.steps = slot[2];
    taken.first_step = *reinterpret_cast<const long long*>(slot + 4);
    __syncwarp();
    if (threadIdx.x % 32 == 0) barrier_arrive(barriers_ + (kSlots + slot_) * 8);
    advance(slot_, parity_);
    return taken.tile >= 0;
  }

  // For the one thread that claims: begin_claim(), then advance_claim() now and then, at last end_claim().

  __device__ __forceinline__ void begin_claim() {
    claimed_ = atomicAdd(parameters_.counters, 1);
    stage_ = kPosition;
  }
  /// Takes up what the access before has brought, and begins the next one.
  __device__ __forceinline__ void advance_claim() {
    if (stage_ == kPosition) {
      column_tile_ = claimed_ % kColumnTiles;
      exists_ = claimed_ < parameters_.tiles * kColumnTiles;
      if (exists_) claimed_ = tile_at<Config>(parameters_, claimed_);
      stage_ = kTile;
    } else if (stage_ == kTile) {
      if (exists_) {
        step_begin_ = __ldg(parameters_.tile_begin + claimed_);
        step_end_ = __ldg(parameters_.tile_begin + claimed_ + 1);
      }
      stage_ = kSteps;
    } else if (stage_ == kSteps) {
      publish();
      stage_ = kDone;
    }
  }
  __device__ __forceinline__ void end_claim() {
    while (stage_ != kDone) advance_claim();
  }

 private:
  enum ClaimStage : int { kPosition, kTile, kSteps, kDone };

  __device__ __forceinline__ void publish() {
    barrier_wait(barriers_ + (kSlots + claim_slot_) * 8, claim_parity_);
    int* slot = slots_ + claim_slot_ * kSlotInts;
    slot[0] = exists_ ? claimed_ : -1;
    slot[1] = column_tile_;
    slot[2] = static_cast<int>(step_end_ - step_begin_);
    *reinterpret_cast<long long*>(slot + 4) = step_begin_;
    barrier_arrive(barriers_ + claim_slot_ * 8);
    advance(claim_slot_, claim_parity_);
  }

  __device__ __forceinline__ static void advance(int& slot, unsigned& parity) {
    if (++slot == kSlots) {
      slot = 0;
      parity ^= 1;
    }
  }

  const PersistentGemmParameters& parameters_;
  int* slots_;
  unsigned barriers_;
  int slot_ = 0;
  unsigned parity_ = 0;

  ClaimStage stage_ = kDone;
  int claimed_ = 0;  // position, then tile
  int column_tile_ = 0;
  bool exists_ = false;
  long long step_begin_ = 0;
  long long step_end_ = 0;
  int claim_slot_ = 0;
  unsigned claim_parity_ = 1;
};

}  // namespace flexgemm
