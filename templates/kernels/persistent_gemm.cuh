#pragma once

#include "config.cuh"
#include "epilogue/store_fragments.cuh"
#include "load/gather_producer.cuh"
#include "load/turn_items.cuh"
#include "mma/mn_major_weight.cuh"
#include "mma/wgmma_tile.cuh"
#include "parameters.cuh"
#include "ptx/barrier.cuh"
#include "ptx/bulk_copy.cuh"
#include "ptx/cluster.cuh"

namespace flexgemm {

/// Shared memory of persistent_gemm: [stages of feats][stages of weights][barriers][items].
template <class Config>
struct PersistentShared {
  static constexpr int kRowBytes = 128;  // of a K tile
  static constexpr int kFeatsBytes = Config::kRowTile * kRowBytes;
  static constexpr int kWeightBytes = Config::kColumnTile * kRowBytes;
  static constexpr int kWeightBegin = Config::kStages * kFeatsBytes;
  static constexpr int kFullBegin = kWeightBegin + Config::kStages * kWeightBytes;
  static constexpr int kEmptyBegin = kFullBegin + Config::kStages * 8;
  static constexpr int kItemsBegin = kEmptyBegin + Config::kStages * 8;
  static constexpr int kBytes = kItemsBegin + SelectItems<Config>::type::kBytes;
  static constexpr int kSharedBytes = ceil_divide(kBytes, 128) * 128;
  static_assert(kSharedBytes == Config::kSharedBytes, "codegen and kernel disagree on shared memory");
  static_assert(kFeatsBytes % 1024 == 0 && kWeightBytes % 1024 == 0, "the swizzle repeats every 1,024 bytes");
};

/// Gathered rows times weights by a persistent grid of specialized warpgroups (parameters.cuh defines the
/// operands). One producer warpgroup gathers a K tile of the row tile's inputs with cp.async and has the copy
/// engine fetch that of the weights; the consumer warpgroups multiply stage after stage and store their rows.
template <class Config>
struct PersistentGemm {
  using Weight =
      typename SelectType<Config::kWeightMnMajor, MnMajorWeight<Config>, KMajorWeight<Config>>::type;
  using Accumulator = WgmmaTile<Config, Weight>;
  using Shared = PersistentShared<Config>;
  using Items = typename SelectItems<Config>::type;
  using Producer = GatherProducer<Config, Shared>;
  using Epilogue = StoreFragments<Config, Accumulator>;

  static constexpr int kConsumerWarps = Config::kWarpsM * Config::kWarpsN;
  static constexpr int kConsumers = kConsumerWarps / 4;  // warpgroups
  static constexpr int kTilesPerStep = ceil_divide(Config::kInChannels, Config::kKTile);
  // Registers at launch are shared out anew: the producer needs few.
  static constexpr bool kShares = kConsumers > 1 && Config::kMinBlocks == 1;
  static constexpr int kProducerRegisters = Config::kRowTile > 128 ? 96 : 72;
  // What a block may share out is what it got at launch, a multiple of 8 for each thread.
  static constexpr int kLaunchRegisters = 65536 / Config::kThreads / 8 * 8;
  static constexpr int kConsumerRegisters =
      minimum(240, (kLaunchRegisters * (kConsumers + 1) - kProducerRegisters) / kConsumers / 8 * 8);
  static_assert(Config::kThreads == 32 * kConsumerWarps + 128, "one producer warpgroup");

  __device__ __forceinline__ static void run(const PersistentGemmParameters& parameters) {
    extern __shared__ __align__(1024) unsigned char shared[];
    const unsigned base = shared_address(shared);
    if (threadIdx.x == 0) {
      prefetch_tensor_map(&parameters.weight);
      for (int stage = 0; stage < Config::kStages; ++stage) {
        barrier_init(base + Shared::kFullBegin + stage * 8, Producer::kArrivals);
        barrier_init(base + Shared::kEmptyBegin + stage * 8, kConsumerWarps * Config::kCluster);
      }
      Items::init(base + Shared::kItemsBegin);
      barrier_init_fence();
    }
    sync_all();
    Items items(parameters, shared + Shared::kItemsBegin);
    if (threadIdx.x >= 32 * kConsumerWarps) {
      if constexpr (kShares) shrink_registers<kProducerRegisters>();
      Producer::run(parameters, items, base);
    } else {
      if constexpr (kShares) grow_registers<kConsumerRegisters>();
      consume(parameters, items, shared, base);
    }
    if constexpr (Config::kCluster > 1) cluster_sync();  // the others may still send to this block
  }

 private:
  __device__ __forceinline__ static void sync_all() {
    if constexpr (Config::kCluster > 1) {
      cluster_sync();
    } else {
      __syncthreads();
    }
  }

  /// A stage is free for a block's producer, which also fills the weights of the others, once the consumers
  /// of all blocks of the cluster have arrived.
  __device__ __forceinline__ static void release_stage(unsigned empty) {
    barrier_arrive(empty);
    if constexpr (Config::kCluster > 1) barrier_arrive_in(empty, cluster_rank() ^ 1);
  }

  /// Position in the ring of stages; the parity tells one round from the next.
  struct Stage {
    int index = 0;
    unsigned parity = 0;
    __device__ __forceinline__ void advance() {
      if (++index == Config::kStages) {
        index = 0;
        parity ^= 1;
      }
    }
  };

  __device__ __forceinline__ static void consume(const PersistentGemmParameters& parameters, Items& items,
                                                 unsigned char* shared, unsigned base) {
    const int warp = threadIdx.x / 32;
    const int warp_row = Accumulator::warp_row(warp);
    const int warp_column = Accumulator::warp_column(warp);
    Stage stage;
    WorkItem item;
    while (items.next(item)) {
      Accumulator accumulator;
      multiply_tile(accumulator, item, stage, shared, base, warp_row, warp_column);
      store_tile(accumulator, parameters, item, warp_row,
                 item.column_tile * Config::kColumnTile + warp_column * Accumulator::kWarpColumns);
    }
  }

  __device__ __forceinline__ static void multiply_tile(Accumulator& accumulator, const WorkItem& item,
                                                       Stage& stage, const unsigned char* shared,
                                                       unsigned base, int warp_row, int warp_column) {
    const bool elected = threadIdx.x % 32 == 0;
    const int k_tiles = item.steps * kTilesPerStep;
    unsigned unreleased = 0;  // empty barrier of the stage that products under way still read, or 0
    const auto release = [&] {
      if (elected && unreleased != 0) release_stage(unreleased);
    };
    for (int k = 0; k < k_tiles; ++k) {
      barrier_wait(base + Shared::kFullBegin + stage.index * 8, stage.parity);
      Accumulator::publish_copies();  // the producer's, to this thread's products
      accumulator.multiply(shared + stage.index * Shared::kFeatsBytes,
                           shared + Shared::kWeightBegin + stage.index * Shared::kWeightBytes, warp_row,
                           warp_column);
      release();  // the products of the stage before are done
      unreleased = base + Shared::kEmptyBegin + stage.index * 8;
      stage.advance();
    }
    accumulator.finish();
    release();
  }

  __device__ __forceinline__ static void store_tile(const Accumulator& accumulator,
                                                    const PersistentGemmParameters& parameters,
                                                    const WorkItem& item, int warp_row, int first_channel) {
    FragmentTarget target{
        parameters, parameters.output, parameters.sums, parameters.order + first_slot(item), false, true};
    if constexpr (Config::kPartialOutput) {
      target.output = static_cast<float*>(parameters.output) +
                      item.group(parameters) * parameters.rows * Config::kOutChannels;
    }
    if constexpr (!Config::kChained) {
      Epilogue::run(accumulator, target, first_channel, warp_row);
    } else {
      store_chained(accumulator, parameters, item, target, warp_row, first_channel);
    }
  }

  /// First of this block's slots in the order.
  __device__ __forceinline__ static long long first_slot(const WorkItem& item) {
    const long long tile = static_cast<long long>(item.tile) * (Config::kRowTile * Config::kCluster);
    return Config::kCluster == 1 ? tile : tile + cluster_rank() * Config::kRowTile;
  }

  /// Groups add up in their order: a group's tiles wait until the group before has stored all of its tiles in
  /// these columns. Items are claimed in the order of groups, so what is waited for is always under way.
  __device__ __forceinline__ static void store_chained(const Accumulator& accumulator,
                                                       const PersistentGemmParameters& parameters,
                                                       const WorkItem& item, FragmentTarget target,
                                                       int warp_row, int first_channel) {
    const int group = item.group(parameters);
    const int warpgroup = threadIdx.x / 128;
    const bool elected = threadIdx.x % 128 == 0;
    int* stored = parameters.counters + 1 + item.column_tile;  // of group 0 in these columns
    if (group > 0) {
      if (elected) {
        const int* before = stored + (group - 1) * Items::kColumnTiles;
        while (load_acquire(before) < parameters.tiles_per_group * kConsumers) __nanosleep(200);
      }
      warps_sync(1 + warpgroup, 128);
    }
    target.adds_sums = group > 0;
    target.is_last = (group + 1) * parameters.tiles_per_group == parameters.tiles;
    const bool adds_nothing = group > 0 && !target.is_last && item.steps == 0;
    if (!adds_nothing) Epilogue::run(accumulator, target, first_channel, warp_row);
    __threadfence();
    warps_sync(1 + warpgroup, 128);
    if (elected) add_release(stored + group * Items::kColumnTiles, 1);
  }
};

template <class Config>
__device__ __forceinline__ void persistent_gemm(const PersistentGemmParameters& parameters) {
  PersistentGemm<Config>::run(parameters);
}

}  // namespace flexgemm
