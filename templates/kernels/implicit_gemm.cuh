#pragma once

#include "config.cuh"
#include "epilogue/store_rows.cuh"
#include "load/sources.cuh"
#include "load/step_ring.cuh"
#include "load/tile_loader.cuh"
#include "mma/ffma.cuh"
#include "mma/mma_sync.cuh"
#include "mma/wgmma_tile.cuh"
#include "parameters.cuh"
#include "ptx/copy.cuh"

namespace flexgemm {

template <class Config, MmaPath kMma>
struct SelectAccumulator {
  using type = MmaSync<Config>;
};
template <class Config>
struct SelectAccumulator<Config, MmaPath::ffma> {
  using type = Ffma<Config>;
};
template <class Config>
struct SelectAccumulator<Config, MmaPath::wgmma> {
  using type = WgmmaTile<Config>;
};

/// Gathered rows times weights, one [row_tile, column_tile] output tile a block (parameters.cuh defines the
/// operands). The reduction is flattened over (step of the tile, channel) and cut into K tiles of kKTile
/// elements, so that few channels waste nothing: a K tile may span several steps. All warps load and compute;
/// cp.async keeps kStages - 1 tiles under way (without cp.async: one tile, through registers).
template <class Config>
struct ImplicitGemm {
  using Storage = typename Config::Storage;
  using Accumulator = typename SelectAccumulator<Config, Config::kMma>::type;
  using Ring = StepRing<Config>;
  using FeatsLoader = TileLoader<Config, Config::kRowTile, Config::kFeatsVectorBytes>;
  using WeightLoader = TileLoader<Config, Config::kColumnTile, Config::kWeightVectorBytes>;
  using Epilogue = StoreRows<Config, Accumulator>;

  static constexpr int kFeatsBytes = Config::kRowTile * FeatsLoader::kRowBytes;
  static constexpr int kWeightBytes = Config::kColumnTile * FeatsLoader::kRowBytes;
  static constexpr int kStageBytes = kFeatsBytes + kWeightBytes;
  static constexpr int kPipelineBytes = Config::kStages * kStageBytes;
  // Shared memory: [stages of feats and weight tiles][step ring]; the epilogue's staging reuses all of it.
  static constexpr int kSharedBytes =
      ceil_divide(maximum(kPipelineBytes + Ring::kBytes, Epilogue::kBytes), 128) * 128;
  static_assert(kSharedBytes == Config::kSharedBytes, "codegen and kernel disagree on shared memory");
  static_assert(Config::kThreads == 32 * Config::kWarpsM * Config::kWarpsN, "one thread a lane");
  static_assert(Config::kAsyncCopy || Config::kStages == 2, "without cp.async there are two stages");
  static_assert(kFeatsBytes % 128 == 0 && kWeightBytes % 128 == 0, "tiles start at whole bank lines");

  /// Last step that the K tiles before `k_tile_end` touch, plus one.
  __device__ __forceinline__ static int steps_until(int k_tile_end, int steps) {
    return minimum((k_tile_end * Config::kKTile - 1) / Config::kInChannels + 1, steps);
  }

  __device__ __forceinline__ static void run(const ImplicitGemmParameters& parameters) {
    extern __shared__ __align__(1024) unsigned char shared[];
    constexpr int kColumnTiles = ceil_divide(Config::kOutChannels, Config::kColumnTile);
    const int block_tile = blockIdx.x / kColumnTiles;
    const int first_channel = (blockIdx.x % kColumnTiles) * Config::kColumnTile;
    const int tile =
        parameters.tile_order != nullptr ? __ldg(parameters.tile_order + block_tile) : block_tile;
    const int split = blockIdx.y;
    const int warp = threadIdx.x / 32;
    const int warp_row = Accumulator::warp_row(warp);
    const int warp_column = Accumulator::warp_column(warp);

    const long long first_step = __ldg(parameters.tile_begin + tile);
    const int steps = static_cast<int>(__ldg(parameters.tile_begin + tile + 1) - first_step);
    const long long first_slot = static_cast<long long>(tile) * Config::kRowTile;
    if (steps == 0 && __ldg(parameters.order + first_slot) < 0) return;  // a tile behind the rows of a frame
    const int all_k_tiles = (steps * Config::kInChannels + Config::kKTile - 1) / Config::kKTile;
    int k_begin = 0;
    int k_end = all_k_tiles;
    if constexpr (Config::kPartialOutput) {
      k_begin = static_cast<int>(static_cast<long long>(all_k_tiles) * split / parameters.splits);
      k_end = static_cast<int>(static_cast<long long>(all_k_tiles) * (split + 1) / parameters.splits);
    }

    Accumulator accumulator;
    if (k_begin < k_end) {
      Ring ring(shared + kPipelineBytes, parameters.step_offset, parameters.step_rows, first_step);
      ring.loaded = k_begin * Config::kKTile / Config::kInChannels;
      const GatheredRows<Config> feats{static_cast<const Storage*>(parameters.feats), ring};
      const WeightRows<Config> weight{static_cast<const Storage*>(parameters.weight), ring, first_channel};
      if constexpr (Config::kAsyncCopy) {
        run_async(accumulator, shared, ring, feats, weight, steps, k_begin, k_end, warp_row, warp_column);
      } else {
        run_registers(accumulator, shared, ring, feats, weight, steps, k_begin, k_end, warp_row, warp_column);
      }
      __syncthreads();  // the epilogue reuses the stages
    }
    Epilogue::run(accumulator, shared, parameters, first_slot, first_channel, split, warp_row, warp_column);
  }

 private:
  __device__ __forceinline__ static void run_async(Accumulator& accumulator, unsigned char* shared,
                                                   Ring& ring, const GatheredRows<Config>& feats,
                                                   const WeightRows<Config>& weight, int steps, int k_begin,
                                                   int k_end, int warp_row, int warp_column) {
    constexpr int kAhead = Config::kStages - 1 - Accumulator::kPending;
    const unsigned base = shared_address(shared);
    // The tiles of the prologue need their steps at once; every later tile finds its steps fetched kAhead
    // tiles ago.
    ring.fetch(steps_until(minimum(k_begin + kAhead, k_end), steps));
    copy_commit();
    copy_wait<0>();
    __syncthreads();
    for (int ahead = 0; ahead < kAhead; ++ahead) {
      const int k = k_begin + ahead;
      if (k < k_end) {
        FeatsLoader::copy(base + ahead * kStageBytes, feats, k, steps);
        WeightLoader::copy(base + ahead * kStageBytes + kFeatsBytes, weight, k, steps);
        ring.fetch(steps_until(minimum(k + kAhead + 1, k_end), steps));
      }
      copy_commit();
    }
    int stage = 0;
    int next_stage = kAhead;
    for (int k = k_begin; k < k_end; ++k) {
      copy_wait<kAhead - 1>();
      Accumulator::publish_copies();
      __syncthreads();
      if (k + kAhead < k_end) {
        FeatsLoader::copy(base + next_stage * kStageBytes, feats, k + kAhead, steps);
        WeightLoader::copy(base + next_stage * kStageBytes + kFeatsBytes, weight, k + kAhead, steps);
        ring.fetch(steps_until(minimum(k + 2 * kAhead + 1, k_end), steps));
      }
      copy_commit();
      const unsigned char* tiles = shared + stage * kStageBytes;
      accumulator.multiply(tiles, tiles + kFeatsBytes, warp_row, warp_column);
      stage = stage + 1 == Config::kStages ? 0 : stage + 1;
      next_stage = next_stage + 1 == Config::kStages ? 0 : next_stage + 1;
    }
    accumulator.finish();
    copy_wait<0>();
  }

  __device__ __forceinline__ static void run_registers(Accumulator& accumulator, unsigned char* shared,
                                                       Ring& ring, const GatheredRows<Config>& feats,
                                                       const WeightRows<Config>& weight, int steps,
                                                       int k_begin, int k_end, int warp_row,
                                                       int warp_column) {
    typename FeatsLoader::Word feats_words[FeatsLoader::kPasses];
    typename WeightLoader::Word weight_words[WeightLoader::kPasses];
    ring.fetch(steps_until(minimum(k_begin + 2, k_end), steps));
    __syncthreads();
    FeatsLoader::read(feats_words, feats, k_begin, steps);
    WeightLoader::read(weight_words, weight, k_begin, steps);
    FeatsLoader::write(shared, feats_words);
    WeightLoader::write(shared + kFeatsBytes, weight_words);
    for (int k = k_begin; k < k_end; ++k) {
      __syncthreads();
      unsigned char* current = shared + ((k - k_begin) % 2) * kStageBytes;
      unsigned char* next = shared + ((k - k_begin + 1) % 2) * kStageBytes;
      if (k + 1 < k_end) {
        FeatsLoader::read(feats_words, feats, k + 1, steps);
        WeightLoader::read(weight_words, weight, k + 1, steps);
        ring.fetch(steps_until(minimum(k + 3, k_end), steps));
      }
      accumulator.multiply(current, current + kFeatsBytes, warp_row, warp_column);
      if (k + 1 < k_end) {
        FeatsLoader::write(next, feats_words);
        WeightLoader::write(next + kFeatsBytes, weight_words);
      }
    }
  }
};

template <class Config>
__device__ __forceinline__ void implicit_gemm(const ImplicitGemmParameters& parameters) {
  ImplicitGemm<Config>::run(parameters);
}

}  // namespace flexgemm
