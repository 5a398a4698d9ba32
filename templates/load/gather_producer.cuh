#pragma once

#include "config.cuh"
#include "load/swizzle.cuh"
#include "load/turn_items.cuh"
#include "mma/mn_major_weight.cuh"
#include "parameters.cuh"
#include "ptx/barrier.cuh"
#include "ptx/bulk_copy.cuh"
#include "ptx/cluster.cuh"
#include "ptx/copy.cuh"
#include "ptx/wgmma.cuh"

namespace flexgemm {

/// The producer warpgroup of persistent_gemm. Its 128 threads gather rows, 16 at a time, eight threads a row;
/// its first thread has the copy engine fetch the weights. cp.async writes through the generic proxy and
/// wgmma reads through the async one, so each thread waits for its own copies of kLag stages ago and fences
/// the proxy before its warp arrives. Consumers hold up to two stages: with kLag more in flight the ring
/// needs kLag + 2.
template <class Config, class Shared>
struct GatherProducer {
  using Storage = typename Config::Storage;
  using Items = typename SelectItems<Config>::type;
  static constexpr int kLag = Config::kStages - 2;
  static constexpr int kArrivals = 5;  // four warps, and the first thread for the weights
  static constexpr int kPasses = Config::kRowTile / 16;
  static constexpr int kVectorElements = 16 / static_cast<int>(sizeof(Storage));
  static constexpr int kTilesPerStep = ceil_divide(Config::kInChannels, Config::kKTile);
  static_assert(kLag >= 1, "three stages at least");
  static_assert(Config::kFeatsVectorBytes == 16 && Config::kWeightVectorBytes == 16, "whole vectors");

  __device__ __forceinline__ static void run(const PersistentGemmParameters& parameters, Items& items,
                                             unsigned char* shared, unsigned base) {
    GatherProducer producer(parameters, shared, base);
    if constexpr (!Items::kClaimed) {
      WorkItem item;
      while (items.next(item)) producer.gather_tile(item);
      producer.drain();
      return;
    } else {
      run_claimed(parameters, items, producer);
    }
  }

 private:
  __device__ __forceinline__ static void run_claimed(const PersistentGemmParameters& parameters, Items& items,
                                                     GatherProducer& producer) {
    const bool claims = producer.thread_ == 0;
    int claim_slot = 0;
    unsigned claim_parity = 1;
    if (claims) items.publish(atomicAdd(parameters.counters, 1), claim_slot, claim_parity);
    WorkItem item;
    while (items.next(item)) {
      int claimed = 0;
      if (claims) claimed = atomicAdd(parameters.counters, 1);  // its latency hides behind the tile
      producer.gather_tile(item);
      if (claims) items.publish(claimed, claim_slot, claim_parity);
    }
    producer.drain();
  }

  __device__ __forceinline__ GatherProducer(const PersistentGemmParameters& parameters, unsigned char* shared,
                                            unsigned base)
      : parameters_(parameters), shared_(shared), base_(base), thread_(threadIdx.x % 128) {}

  const PersistentGemmParameters& parameters_;
  unsigned char* shared_;
  unsigned base_;
  int thread_;
  int stage_ = 0;  // to be filled next
  unsigned parity_ = 1;
  int arriving_ = 0;  // stage that arrives next
  int filled_ = 0;    // stages filled and not yet arrived

  __device__ __forceinline__ void gather_tile(const WorkItem& item) {
    const long long first = item.first_step(parameters_);
    const int steps = item.steps(parameters_);
    constexpr int kTileRows = Config::kRowTile * Config::kCluster;  // of all blocks that share the tile
    const int* source = parameters_.step_rows + first * kTileRows + first_row() + thread_ / 8;
    int rows[kPasses];
    int next_rows[kPasses];
    int offset = 0;
    int next_offset = 0;
    if (steps == 0) {  // any number of such items may follow: nobody is to wait for stages meanwhile
      drain();
      return;
    }
    load_rows(next_rows, source, true);
    next_offset = __ldg(parameters_.step_offset + first);
    for (int step = 0; step < steps; ++step) {
#pragma unroll
      for (int pass = 0; pass < kPasses; ++pass) rows[pass] = next_rows[pass];
      offset = next_offset;
      source += kTileRows;
      load_rows(next_rows, source, step + 1 < steps);
      if (step + 1 < steps) next_offset = __ldg(parameters_.step_offset + first + step + 1);
      const unsigned flags = row_block_flags(rows);
#pragma unroll 1
      for (int k = 0; k < kTilesPerStep; ++k) {
        fill_stage(rows, offset, k, item.first_channel, flags);
      }
    }
  }

  __device__ __forceinline__ static void load_rows(int (&rows)[kPasses], const int* source, bool valid) {
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) rows[pass] = valid ? __ldg(source + pass * 16) : -1;
  }

  /// Bit b: a row of this warp in the tile's block b of 64 rows has an input.
  __device__ __forceinline__ static unsigned row_block_flags(const int (&rows)[kPasses]) {
    unsigned flags = 0;
#pragma unroll
    for (int block = 0; block < kPasses / 4; ++block) {
      bool any = false;
#pragma unroll
      for (int pass = 0; pass < 4; ++pass) any |= rows[block * 4 + pass] >= 0;
      flags |= __any_sync(0xffffffffu, any) ? 1u << block : 0u;
    }
    return flags;
  }

  __device__ __forceinline__ void fill_stage(const int (&rows)[kPasses], int offset, int k, int first_channel,
                                             unsigned flags) {
    const unsigned full = base_ + Shared::kFullBegin + stage_ * 8;
    barrier_wait(base_ + Shared::kEmptyBegin + stage_ * 8, parity_);
    if (thread_ == 0) fetch_weights(full, k * Config::kKTile, offset, first_channel);
    if (thread_ % 32 == 0) {
      shared_[Shared::kFlagsBegin + stage_ * 8 + thread_ / 32] = static_cast<unsigned char>(flags);
    }
    const int column = thread_ % 8;
    const int channel = k * Config::kKTile + column * kVectorElements;
    const bool exists = Config::kInChannels % Config::kKTile == 0 || channel < Config::kInChannels;
    const Storage* feats = static_cast<const Storage*>(parameters_.feats) + channel;
    const unsigned target = base_ + stage_ * Shared::kFeatsBytes;
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const bool valid = exists && rows[pass] >= 0;
      const Storage* source = valid ? feats + static_cast<long long>(rows[pass]) * Config::kInChannels
                                    : static_cast<const Storage*>(parameters_.feats);
      copy_async<16>(target + swizzled<128>(thread_ / 8 + pass * 16, column * 16), source, valid);
    }
    copy_commit();
    if (++filled_ > kLag) {
      copy_wait<kLag>();
      arrive();
    }
    if (++stage_ == Config::kStages) {
      stage_ = 0;
      parity_ ^= 1;
    }
  }

  /// Of a cluster each block fetches its part of the columns for all; the barrier waits for all parts.
  __device__ __forceinline__ void fetch_weights(unsigned full, int channel, int offset, int first_channel) {
    const unsigned target = base_ + Shared::kWeightBegin + stage_ * Shared::kWeightBytes;
    barrier_arrive_expecting(full, Shared::kWeightBytes);  // boxes beyond the last channel count, too
    if constexpr (Config::kWeightMnMajor) {
      using Weight = MnMajorWeight<Config>;
      const int given = parameters_.mirrored != 0 ? Config::kVolume - 1 - offset : offset;
#pragma unroll
      for (int block = 0; block < Config::kColumnTile / Weight::kBlockColumns; ++block) {
        bulk_copy_box(target + block * Weight::kBlockBytes, &parameters_.weight, full,
                      first_channel + block * Weight::kBlockColumns, given, channel);
      }
    } else if constexpr (Config::kCluster == 1) {
      bulk_copy_box(target, &parameters_.weight, full, channel, offset, first_channel);
    } else {
      constexpr int kPart = Config::kColumnTile / Config::kCluster;
      const int part = static_cast<int>(cluster_rank());
      bulk_copy_box_to((1 << Config::kCluster) - 1, target + part * (Shared::kWeightBytes / Config::kCluster),
                       &parameters_.weight, full, channel, offset, first_channel + part * kPart);
    }
  }

  /// First of this block's rows in the tile that its cluster shares.
  __device__ __forceinline__ static int first_row() {
    return Config::kCluster == 1 ? 0 : static_cast<int>(cluster_rank()) * Config::kRowTile;
  }

  __device__ __forceinline__ void arrive() {
    fence_async_proxy();
    __syncwarp();
    if (thread_ % 32 == 0) barrier_arrive(base_ + Shared::kFullBegin + arriving_ * 8);
    arriving_ = arriving_ + 1 == Config::kStages ? 0 : arriving_ + 1;
    --filled_;
  }

  /// Hands over the last stages.
  __device__ __forceinline__ void drain() {
    copy_wait<0>();
    while (filled_ > 0) arrive();
  }
};

}  // namespace flexgemm
