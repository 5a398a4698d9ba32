#pragma once

#include "config.cuh"
#include "epilogue/store_gradient.cuh"
#include "load/pair_ring.cuh"
#include "load/pair_tile.cuh"
#include "load/transposed_pairs.cuh"
#include "mma/ffma_pairs.cuh"
#include "mma/mma_sync_pairs.cuh"
#include "mma/wgmma_pairs.cuh"
#include "parameters.cuh"
#include "ptx/copy.cuh"

namespace flexgemm {

/// How the accumulators see the block's tile: all columns of all its offsets side by side.
template <class Config>
struct GradWeightTile : Config {
  static constexpr int kColumnTile = Config::kColumns;
};

template <class Config, class First, class Second, MmaPath kMma,
          bool kTransposed = Config::kMma == MmaPath::wgmma && sizeof(typename Config::Storage) == 4>
struct SelectPairs {
  using type = MmaSyncPairs<GradWeightTile<Config>, First, Second>;
};
template <class Config, class First, class Second>
struct SelectPairs<Config, First, Second, MmaPath::ffma, false> {
  using type = FfmaPairs<GradWeightTile<Config>, First, Second>;
};
template <class Config, class First, class Second>
struct SelectPairs<Config, First, Second, MmaPath::wgmma, false> {
  using type = WgmmaPairs<GradWeightTile<Config>, First, Second>;
};
template <class Config, class First, class Second>
struct SelectPairs<Config, First, Second, MmaPath::wgmma, true> {
  using type = WgmmaTile<GradWeightTile<Config>>;
};

/// Weight gradients of kOffsets kernel offsets, kRowTile output channels and kColumnTile input channels of
/// each offset a block (parameters.cuh defines the operands). The reduction runs over pairs, kKTile at a
/// time: one row of grad_out meets the feats rows of all the block's offsets, so that it is fetched once for
/// all of them. Both operands are gathered rows and lie [pair, channel] in shared memory. All warps load and
/// compute; cp.async keeps kStages - 1 tiles under way; without it blocks of one multiprocessor hide each
/// other's loads.
template <class Config>
struct GradWeight {
  using Storage = typename Config::Storage;
  using Ring = PairRing<Config>;
  using GradOutTile = PairTile<Config, 1, Config::kRowTile, Config::kRowTile, 0, Config::kOutChannels,
                               Config::kWeightVectorBytes>;
  using FeatsTile = PairTile<Config, Config::kOffsets, Config::kColumnTile, Config::kColumns, 1,
                             Config::kInChannels, Config::kFeatsVectorBytes>;
  using Accumulator = typename SelectPairs<Config, typename GradOutTile::Layout, typename FeatsTile::Layout,
                                           Config::kMma>::type;
  using Epilogue = StoreGradient<Config, Accumulator>;
  using Output = typename Epilogue::Output;

  /// tf32 for wgmma is transposed on its way into shared memory.
  static constexpr bool kTransposed = Config::kMma == MmaPath::wgmma && sizeof(Storage) == 4;
  static constexpr int kGradOutBytes =
      kTransposed ? Config::kRowTile * Config::kKTile * 4 : GradOutTile::Layout::kBytes;
  static constexpr int kFeatsBytes =
      kTransposed ? Config::kColumns * Config::kKTile * 4 : FeatsTile::Layout::kBytes;
  static constexpr int kStageBytes = kGradOutBytes + kFeatsBytes;
  static constexpr int kPipelineBytes = Config::kStages * kStageBytes;
  // Shared memory: [stages of grad_out and feats tiles][pair ring]; the epilogue's staging reuses all of it,
  // but for the ring's rule behind it.
  static constexpr int kRuleBegin =
      ceil_divide(maximum(kPipelineBytes + Ring::kBytes, Epilogue::kBytes), 16) * 16;
  static constexpr int kSharedBytes = ceil_divide(kRuleBegin + Ring::kRuleBytes, 128) * 128;
  static_assert(kSharedBytes == Config::kSharedBytes, "codegen and kernel disagree on shared memory");
  static_assert(Config::kThreads == 32 * Config::kWarpsM * Config::kWarpsN, "one thread a lane");
  static_assert(Config::kAsyncCopy || Config::kStages == 2, "without cp.async there are two stages");
  static_assert(kGradOutBytes % 16 == 0 && kStageBytes % 16 == 0, "tiles start at whole vectors");

  /// Pairs summed before the sums join those in memory: the matrix unit truncates as it adds, which would
  /// bias longer sums by more than rounding does.
  static constexpr int kMostTiles = 65536 / Config::kKTile;

  __device__ __forceinline__ static void run(const GradWeightParameters& parameters) {
    extern __shared__ __align__(1024) unsigned char shared[];
    constexpr int kColumnTiles = ceil_divide(Config::kInChannels, Config::kColumnTile);
    const int first_channel = blockIdx.x % kColumnTiles * Config::kColumnTile;
    const int first_row = blockIdx.x / kColumnTiles * Config::kRowTile;
    const bool split = parameters.share_begin != nullptr;
    int part = split ? __ldg(parameters.share_begin + blockIdx.y) : static_cast<int>(blockIdx.y);
    while (true) {
      const int runs = __ldg(parameters.parts + 8 * part + 5);
      if (runs > 0 || !split) {
        Ring ring(shared + kPipelineBytes, shared + kRuleBegin, parameters, part);
        const Operands operands{static_cast<const Storage*>(parameters.grad_out),
                                static_cast<const Storage*>(parameters.feats), ring, first_row,
                                first_channel};
        sum_part(shared, operands, parameters, part, runs * Ring::kRunTiles);
      }
      ++part;
      if (!split || part == __ldg(parameters.share_begin + blockIdx.y + 1)) break;
      __syncthreads();  // the stages reuse the epilogue's memory
    }
  }

 private:
  struct Operands {
    const Storage* grad_out;
    const Storage* feats;
    Ring& ring;
    int first_row;
    int first_channel;
  };

  /// Where a part's sums go: its group's place, or a place of its own for its group's offsets alone.
  __device__ __forceinline__ static typename Epilogue::Target target_of(
      const GradWeightParameters& parameters, int group, int part) {
    Output* output = static_cast<Output*>(parameters.output);
    if (parameters.share_begin != nullptr) {
      constexpr long long kPitch = Config::kOffsets * Config::kInChannels;
      return {output + part * (Config::kOutChannels * kPitch), kPitch, false};
    }
    return {output + static_cast<long long>(group) * Config::kOffsets * Config::kInChannels,
            static_cast<long long>(Config::kVolume) * Config::kInChannels, parameters.accumulate != 0};
  }

  /// Sums the `end` tiles of a part and writes the sums, or adds them to what is there.
  __device__ __forceinline__ static void sum_part(unsigned char* shared, const Operands& operands,
                                                  const GradWeightParameters& parameters, int part, int end) {
    const int warp = threadIdx.x / 32;
    const int warp_row = Accumulator::warp_row(warp);
    const int warp_column = Accumulator::warp_column(warp);
    int from = 0;
    do {
      const int to = minimum(end, from + kMostTiles);
      Accumulator accumulator;
      if (from < to) {
        if constexpr (kTransposed) {
          run_transposed(accumulator, shared, operands, from, to, warp_row, warp_column);
        } else if constexpr (Config::kAsyncCopy) {
          run_async(accumulator, shared, operands, from, to, warp_row, warp_column);
        } else {
          run_registers(accumulator, shared, operands, from, to, warp_row, warp_column);
        }
        __syncthreads();  // the epilogue reuses the stages
      }
      const int group = parameters.parts[8 * part + 4];  // read late: a register less in the loop
      typename Epilogue::Target target = target_of(parameters, group, part);
      target.add = target.add || from != 0;
      Epilogue::run(accumulator, shared, target, operands.first_row,
                    minimum(Config::kOffsets, Config::kVolume - group * Config::kOffsets),
                    operands.first_channel, warp_row, warp_column);
      if (to < end) __syncthreads();  // and the stages the epilogue's memory
      from = to;
    } while (from < end);
  }

  __device__ __forceinline__ static void copy(unsigned stage, const Operands& operands, const int* pairs) {
    GradOutTile::copy(stage, operands.grad_out, pairs, operands.first_row);
    FeatsTile::copy(stage + kGradOutBytes, operands.feats, pairs, operands.first_channel);
  }

  __device__ __forceinline__ static void run_async(Accumulator& accumulator, unsigned char* shared,
                                                   const Operands& operands, int begin, int end, int warp_row,
                                                   int warp_column) {
    constexpr int kAhead = Config::kStages - 1 - Accumulator::kPending;
    const unsigned base = shared_address(shared);
    // The tiles of the prologue need their pairs at once; every later tile finds its pairs fetched kAhead
    // tiles ago.
    for (int tile = begin; tile < minimum(begin + kAhead, end); ++tile) operands.ring.fetch(tile);
    copy_commit();
    copy_wait<0>();
    __syncthreads();
    for (int ahead = 0; ahead < kAhead; ++ahead) {
      if (begin + ahead < end) copy(base + ahead * kStageBytes, operands, operands.ring.pairs(begin + ahead));
      if (begin + ahead + kAhead < end) operands.ring.fetch(begin + ahead + kAhead);
      copy_commit();
    }
    int stage = 0;
    int next_stage = kAhead;
    int next_slot = (begin + kAhead) % Ring::kSlots;  // of the tile to be copied
    int fetch_slot = (begin + 2 * kAhead) % Ring::kSlots;
    for (int tile = begin; tile < end; ++tile) {
      copy_wait<kAhead - 1>();
      Accumulator::publish_copies();
      __syncthreads();
      if (tile + kAhead < end) {
        copy(base + next_stage * kStageBytes, operands, operands.ring.pairs_in(next_slot));
      }
      if (tile + 2 * kAhead < end) operands.ring.fetch(tile + 2 * kAhead, fetch_slot);
      copy_commit();
      const unsigned char* tiles = shared + stage * kStageBytes;
      accumulator.multiply(tiles, tiles + kGradOutBytes, warp_row, warp_column);
      stage = stage + 1 == Config::kStages ? 0 : stage + 1;
      next_stage = next_stage + 1 == Config::kStages ? 0 : next_stage + 1;
      next_slot = Ring::slot_after(next_slot);
      fetch_slot = Ring::slot_after(fetch_slot);
    }
    accumulator.finish();
    copy_wait<0>();
  }

  /// Loads of the next tile but one are under way while the latest products are; the next tile waits in
  /// shared memory.
  __device__ __forceinline__ static void run_transposed(Accumulator& accumulator, unsigned char* shared,
                                                        const Operands& operands, int begin, int end,
                                                        int warp_row, int warp_column) {
    using GradOut = TransposedPairs<Config, 1, Config::kRowTile, Config::kRowTile, 0, Config::kOutChannels>;
    using Feats = TransposedPairs<Config, Config::kOffsets, Config::kColumnTile, Config::kColumns, 1,
                                  Config::kInChannels>;
    static_assert(Config::kStages == 3, "a tile is written while two may be read");
    float4 grad_out[GradOut::kPasses];
    float4 feats[Feats::kPasses];
    const auto read = [&](int tile) {
      const int* pairs = operands.ring.pairs(tile);
      GradOut::read(grad_out, operands.grad_out, pairs, operands.first_row);
      Feats::read(feats, operands.feats, pairs, operands.first_channel);
    };
    const auto write = [&](int tile) {
      unsigned char* stage = shared + (tile - begin) % 3 * kStageBytes;
      GradOut::write(stage, grad_out);
      Feats::write(stage + kGradOutBytes, feats);
    };
    constexpr int kAhead = 4;  // tiles whose pairs are fetched before their products
    for (int tile = begin; tile < minimum(begin + kAhead, end); ++tile) operands.ring.fetch(tile);
    copy_commit();
    copy_wait<0>();
    __syncthreads();
    read(begin);
    write(begin);
    if (begin + 1 < end) read(begin + 1);
    for (int tile = begin; tile < end; ++tile) {
      copy_wait<0>();
      Accumulator::publish_copies();
      __syncthreads();
      const unsigned char* current = shared + (tile - begin) % 3 * kStageBytes;
      accumulator.multiply(current, current + kGradOutBytes, warp_row, warp_column);
      if (tile + 1 < end) write(tile + 1);
      if (tile + 2 < end) read(tile + 2);
      if (tile + kAhead < end) operands.ring.fetch(tile + kAhead);
      copy_commit();
    }
    accumulator.finish();
  }

  __device__ __forceinline__ static void run_registers(Accumulator& accumulator, unsigned char* shared,
                                                       const Operands& operands, int begin, int end,
                                                       int warp_row, int warp_column) {
    const auto copy = [&](int tile) {
      unsigned char* stage = shared + (tile - begin) % 2 * kStageBytes;
      const int* pairs = operands.ring.pairs(tile);
      GradOutTile::copy_now(stage, operands.grad_out, pairs, operands.first_row);
      FeatsTile::copy_now(stage + kGradOutBytes, operands.feats, pairs, operands.first_channel);
    };
    operands.ring.fetch(begin);
    if (begin + 1 < end) operands.ring.fetch(begin + 1);
    __syncthreads();
    copy(begin);
    for (int tile = begin; tile < end; ++tile) {
      __syncthreads();
      if (tile + 1 < end) copy(tile + 1);
      if (tile + 2 < end) operands.ring.fetch(tile + 2);
      const unsigned char* current = shared + (tile - begin) % 2 * kStageBytes;
      accumulator.multiply(current, current + kGradOutBytes, warp_row, warp_column);
    }
  }
};

template <class Config>
__device__ __forceinline__ void grad_weight(const GradWeightParameters& parameters) {
  GradWeight<Config>::run(parameters);
}

}  // namespace flexgemm
