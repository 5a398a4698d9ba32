#pragma once

#include "config.cuh"
#include "epilogue/store_rows.cuh"
#include "load/offset_walk.cuh"
#include "load/resident_inputs.cuh"
#include "load/swizzle.cuh"
#include "mma/wgmma_rows.cuh"
#include "parameters.cuh"
#include "ptx/copy.cuh"

namespace flexgemm {

/// Gathered rows times weights for narrow layers, one block of the resident layout a block of threads, with
/// all output channels (parameters.cuh defines the operands). The rows of feats that the block's rows need,
/// few because the rows are close in space, are copied into shared memory once; every offset then gathers
/// its operand from there with ldmatrix, into registers. Weights pass through a ring of K tiles. A product
/// whose 64 rows all lack the tile's offsets is left out.
template <class Config>
struct ResidentGemm {
  using Storage = typename Config::Storage;
  using Inputs = ResidentInputs<Config>;
  using Walk = OffsetWalk<Config>;
  using Accumulator = WgmmaRows<Config>;
  using Epilogue = StoreRows<Config, Accumulator>;
  static constexpr int kRows = Config::kRowTile;
  static constexpr int kAhead = Config::kStages - 2;  // the latest products still read a stage

  // Shared memory: [weight tiles][inputs][locals]; the epilogue's staging reuses all of it.
  static constexpr int kWeightBytes = Config::kColumnTile * 128;
  static constexpr int kInputsBegin = Config::kStages * kWeightBytes;
  static constexpr int kLocalsBegin = kInputsBegin + Inputs::bytes(Config::kCapacity);
  static constexpr int kLocalBytes = Config::kVolume * kRows * 2;
  static_assert(ceil_divide(maximum(kLocalsBegin + kLocalBytes, Epilogue::kBytes), 128) * 128 ==
                    Config::kSharedBytes,
                "codegen and kernel disagree on shared memory");
  static_assert(Config::kThreads == 32 * Config::kWarpsM, "one thread a lane");
  static_assert(kWeightBytes % 1024 == 0, "weight tiles start at whole swizzle atoms");

  __device__ __forceinline__ static void run(const ResidentGemmParameters& parameters) {
    extern __shared__ __align__(1024) unsigned char shared[];
    const int block = static_cast<int>(blockIdx.x);
    const int warp_row = static_cast<int>(threadIdx.x) / 32;
    const long long first_slot = static_cast<long long>(block) * kRows;
    copy_locals(shared_address(shared) + kLocalsBegin, parameters, block);
    unsigned row_masks[Accumulator::kRowBlocks];
#pragma unroll
    for (int i = 0; i < Accumulator::kRowBlocks; ++i) {
      // 16 slots a mask: the four of a block of 64 rows.
      const int first = Accumulator::slice_row(warp_row / 4 * 4, i) / 16;
      const uint4 masks = __ldg(reinterpret_cast<const uint4*>(parameters.masks + first_slot / 16 + first));
      // From one lane: the compiler then knows that the branches on it do not diverge within a warp.
      row_masks[i] = __shfl_sync(0xffffffffu, masks.x | masks.y | masks.z | masks.w, 0);
    }
    Accumulator accumulator;
    const int phase_end = __ldg(parameters.phase_begin + block + 1);
    for (int phase = __ldg(parameters.phase_begin + block); phase < phase_end; ++phase) {
      run_phase(accumulator, shared, parameters, phase, row_masks, warp_row);
      __syncthreads();  // the next phase, or the epilogue, reuses inputs and stages
    }
    Epilogue::run(accumulator, shared, parameters, first_slot, 0, 0, warp_row, 0);
  }

 private:
  __device__ __forceinline__ static void copy_locals(unsigned target,
                                                     const ResidentGemmParameters& parameters, int block) {
    const unsigned short* from =
        parameters.locals + static_cast<long long>(block) * (Config::kVolume * kRows);
    for (int i = threadIdx.x; i < kLocalBytes / 16; i += Config::kThreads)
      copy_async<16>(target + i * 16, from + i * 8, true);
  }

  __device__ __forceinline__ static void run_phase(Accumulator& accumulator, unsigned char* shared,
                                                   const ResidentGemmParameters& parameters, int phase,
                                                   const unsigned (&row_masks)[Accumulator::kRowBlocks],
                                                   int warp_row) {
    const unsigned base = shared_address(shared);
    const unsigned inputs = base + kInputsBegin;
    const unsigned offsets = __ldg(parameters.phase_offsets + phase);
    const long long first_input = __ldg(parameters.input_begin + phase);
    const int count = static_cast<int>(__ldg(parameters.input_begin + phase + 1) - first_input);
    const int tiles = Walk::tiles(offsets);
    Walk ahead(offsets);
    Inputs::copy(inputs, parameters.feats, parameters.inputs + first_input, count);
#pragma unroll
    for (int tile = 0; tile < kAhead; ++tile) {
      copy_weights(base + tile * kWeightBytes, parameters, ahead, tile < tiles);
      copy_commit();
    }
    const unsigned short* locals = reinterpret_cast<const unsigned short*>(shared + kLocalsBegin) +
                                   Accumulator::slice_row(warp_row, 0) + threadIdx.x % 16;
    // The first fragments need the inputs alone, which came with the first tile of weights.
    copy_wait<kAhead - 1>();
    __syncthreads();
    Walk walk(offsets);
    load(accumulator, 0, inputs, locals, walk, row_masks);
    int stage = 0;
    int next_stage = kAhead;
#pragma unroll 1
    for (int tile = 0; tile < tiles; ++tile) {
      copy_wait<kAhead - 1>();
      Accumulator::publish_copies();
      __syncthreads();
      copy_weights(base + next_stage * kWeightBytes, parameters, ahead, tile + kAhead < tiles);
      copy_commit();
      Walk next = walk;
      next.advance();
      const unsigned long long weight = wgmma_descriptor(base + stage * kWeightBytes);
#pragma unroll
      for (int i = 0; i < Accumulator::kRowBlocks; ++i) {
        accumulator.multiply(i, weight, (row_masks[i] & walk.set()) != 0);
        if (i + 1 < Accumulator::kRowBlocks) {
          load(accumulator, i + 1, inputs, locals, walk, row_masks);
        } else {
          load(accumulator, 0, inputs, locals, next, row_masks);
        }
      }
      walk = next;
      stage = stage + 1 == Config::kStages ? 0 : stage + 1;
      next_stage = next_stage + 1 == Config::kStages ? 0 : next_stage + 1;
    }
    accumulator.finish();
    copy_wait<0>();
  }

  /// Starts the copy of the walk's present tile of weights, [column_tile] rows of 128 bytes, and goes on.
  /// What no offset fills is zero: rows of zeros meet it.
  __device__ __forceinline__ static void copy_weights(unsigned target,
                                                      const ResidentGemmParameters& parameters, Walk& ahead,
                                                      bool exists) {
    if (!exists) return;
    constexpr int kRowsAtOnce = Config::kThreads / 8;
    constexpr int kElements = 16 / static_cast<int>(sizeof(Storage));
    constexpr int kOffsetChunks = Walk::kRowBytes / 16 / Walk::kTilesAnOffset;  // of one offset in a tile
    const int chunk = threadIdx.x % 8;
    const int offset = ahead.offset(chunk / kOffsetChunks);
    const int channel = (ahead.part * 8 + chunk % kOffsetChunks) * kElements;
    const Storage* weight = static_cast<const Storage*>(parameters.weight);
#pragma unroll
    for (int first = 0; first < Config::kColumnTile; first += kRowsAtOnce) {
      const int row = first + static_cast<int>(threadIdx.x) / 8;
      if (Config::kColumnTile % kRowsAtOnce != 0 && row >= Config::kColumnTile) break;
      const bool valid = offset >= 0 && row < Config::kOutChannels;
      const long long at = (static_cast<long long>(row) * Config::kVolume + offset) * Config::kInChannels;
      copy_async<16>(target + swizzled<128>(row, chunk * 16), valid ? weight + at + channel : weight, valid);
    }
    ahead.advance();
  }

  /// Loads row block i's fragments for the walk's present tile, if a row of it has one of the offsets.
  __device__ __forceinline__ static void load(Accumulator& accumulator, int i, unsigned inputs,
                                              const unsigned short* locals, const Walk& walk,
                                              const unsigned (&row_masks)[Accumulator::kRowBlocks]) {
    constexpr int kOffsetSteps = Accumulator::kKSteps / Walk::kOffsetsATile;  // of one offset in a tile
    if ((row_masks[i] & walk.set()) == 0) return;
    int offsets[Walk::kOffsetsATile];
    walk.offsets(offsets);
    accumulator.load(
        i, inputs,
        [&](int block, int k) -> unsigned {
          const int offset = offsets[k / kOffsetSteps];
          const unsigned place = locals[maximum(offset, 0) * kRows + block * (Accumulator::kWarpgroups * 64)];
          return offset >= 0 ? place : 0;
        },
        [&](int k) { return (k % kOffsetSteps) * 2 + walk.part * 8; });
  }
};

template <class Config>
__device__ __forceinline__ void resident_gemm(const ResidentGemmParameters& parameters) {
  ResidentGemm<Config>::run(parameters);
}

}  // namespace flexgemm
