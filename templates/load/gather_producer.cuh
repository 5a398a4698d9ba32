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

namespace flexgemm {

/// The producer warpgroup of persistent_gemm. Its 128 threads gather rows, 16 at a time, eight threads a row;
/// its first thread has the copy engine fetch the weights and claims work. A thread's copies arrive at the
/// stage's barrier by themselves when they have landed (PTX ISA, cp.async.mbarrier.arrive.noinc), so that all
/// free stages are under way and no thread ever waits for a copy. cp.async writes through the generic proxy
/// and wgmma reads through the async one: consumers fence between the barrier and their first read.
template <class Config, class Shared>
struct GatherProducer {
  using Storage = typename Config::Storage;
  using Items = typename SelectItems<Config>::type;
  static constexpr int kArrivals = 129;  // of a stage: 128 threads, and the first for the weights
  static constexpr int kPasses = Config::kRowTile / 16;
  static constexpr int kTileRows = Config::kRowTile * Config::kCluster;  // of all blocks that share a tile
  static constexpr int kVectorElements = 16 / static_cast<int>(sizeof(Storage));
  static constexpr int kTilesPerStep = ceil_divide(Config::kInChannels, Config::kKTile);
  // A memory access of the claiming thread has the time of four K tiles, so that it never holds up its warp.
  static constexpr int kStepsAnAccess = ceil_divide(4, kTilesPerStep);
  static_assert(Config::kStages >= 3, "consumers hold up to two stages");
  static_assert(Config::kFeatsVectorBytes == 16 && Config::kWeightVectorBytes == 16, "whole vectors");

  __device__ __forceinline__ static void run(const PersistentGemmParameters& parameters, Items& items,
                                             unsigned base) {
    GatherProducer producer(parameters, base);
    producer.gather_items(items);
    copy_wait_all();  // nothing may land in the memory of a block that has ended
  }

 private:
  /// The input rows that this thread copies from at a step, -1: none, and the step's kernel offset.
  struct Step {
    int rows[kPasses];
    int offset;
  };

  __device__ __forceinline__ GatherProducer(const PersistentGemmParameters& parameters, unsigned base)
      : parameters_(parameters), base_(base), thread_(threadIdx.x % 128) {}

  const PersistentGemmParameters& parameters_;
  unsigned base_;
  int thread_;
  int stage_ = 0;  // to be filled next
  unsigned parity_ = 1;

  /// Rows are read one step ahead; the next item is claimed and looked up meanwhile.
  __device__ __forceinline__ void gather_items(Items& items) {
    const bool claims = thread_ == 0;
    if (claims) {
      items.begin_claim();
      items.end_claim();
    }
    WorkItem item;
    while (items.next(item)) {
      if (claims) items.begin_claim();
      Step ahead;
      if (item.steps > 0) load_step(ahead, item, 0);
      for (int step = 0; step < item.steps; ++step) {
        const Step present = ahead;
        if (step + 1 < item.steps) load_step(ahead, item, step + 1);
        fill_stages(present, item.column_tile * Config::kColumnTile);
        if (claims && step % kStepsAnAccess == kStepsAnAccess - 1) items.advance_claim();
      }
      if (claims) items.end_claim();
    }
  }

  __device__ __forceinline__ void load_step(Step& loaded, const WorkItem& item, int step) {
    const int* rows =
        parameters_.step_rows + (item.first_step + step) * kTileRows + first_row() + thread_ / 8;
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) loaded.rows[pass] = __ldg(rows + pass * 16);
    loaded.offset = __ldg(parameters_.step_offset + item.first_step + step);
  }

  __device__ __forceinline__ void fill_stages(const Step& step, int first_channel) {
#pragma unroll 1
    for (int k = 0; k < kTilesPerStep; ++k) {
      const unsigned full = base_ + Shared::kFullBegin + stage_ * 8;
      barrier_wait(base_ + Shared::kEmptyBegin + stage_ * 8, parity_);
      if (thread_ == 0) fetch_weights(full, k * Config::kKTile, step.offset, first_channel);
      gather_rows(step, k * Config::kKTile);
      copy_arrive(full);
      if (++stage_ == Config::kStages) {
        stage_ = 0;
        parity_ ^= 1;
      }
    }
  }

  __device__ __forceinline__ void gather_rows(const Step& step, int first_channel) {
    const int column = thread_ % 8;
    const int channel = first_channel + column * kVectorElements;
    const bool exists = Config::kInChannels % Config::kKTile == 0 || channel < Config::kInChannels;
    const void* feats = whole_address(static_cast<const Storage*>(parameters_.feats) + channel);
    constexpr long long kPitchBytes = static_cast<long long>(Config::kInChannels) * sizeof(Storage);
    const unsigned target = base_ + stage_ * Shared::kFeatsBytes + swizzled<128>(thread_ / 8, column * 16);
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const int row = exists ? step.rows[pass] : -1;
      copy_async_row<16>(target + pass * (16 * 128), row_address<kPitchBytes>(feats, row), row);
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
};

}  // namespace flexgemm
