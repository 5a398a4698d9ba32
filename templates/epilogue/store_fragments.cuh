#pragma once

#include "config.cuh"
#include "epilogue/finish.cuh"
#include "parameters.cuh"

namespace flexgemm {

/// Where the rows of a work item of persistent_gemm go.
struct FragmentTarget {
  const PersistentGemmParameters& parameters;
  void* output;      // storage rows, or the float partials of the item's group
  float* sums;       // chained: what the groups before left, [rows, Co]
  const int* order;  // output row of every slot of the tile, -1: none
  bool adds_sums;    // chained: not the first group
  bool is_last;      // chained: the last group
};

/// Brings wgmma's accumulators to their permuted rows without a detour through shared memory. A lane holds
/// two neighboring channels of every eighth; the four lanes of a row trade what they hold of 32 channels, so
/// that each stores 8 neighboring ones. Floats are stored as they lie: four lanes fill a sector of 32 bytes.
template <class Config, class Accumulator>
struct StoreFragments {
  using Storage = typename Config::Storage;
  static constexpr bool kHalves = sizeof(Storage) == 2;
  static constexpr int kChunk = 32;  // channels that the four lanes of a row handle at once
  static constexpr int kChunks = Accumulator::kWarpColumns / kChunk;
  static_assert(Accumulator::kWarpColumns % kChunk == 0, "a warpgroup has whole chunks of channels");
  static_assert(Config::kOutChannels % 8 == 0, "eight neighboring channels exist or do not");

  __device__ __forceinline__ static void run(const Accumulator& accumulator, const FragmentTarget& target,
                                             int first_channel, int warp_row) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int block = 0; block < Accumulator::kRowBlocks; ++block) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int slot = Accumulator::slice_row(warp_row, block) + half * 8 + lane / 4;
        const int row = __ldg(target.order + slot);
        const long long row_begin = static_cast<long long>(row) * Config::kOutChannels;
#pragma unroll
        for (int chunk = 0; chunk < kChunks; ++chunk) {
          float values[8];  // pairs of channels first_channel + chunk * 32 + pair * 8 + lane % 4 * 2
#pragma unroll
          for (int i = 0; i < 8; ++i) {
            values[i] = accumulator.accumulators[block][4 * (chunk * 4 + i / 2) + half * 2 + i % 2];
          }
          store_chunk(values, target, row, row_begin, first_channel + chunk * kChunk);
        }
      }
    }
  }

 private:
  __device__ __forceinline__ static void store_chunk(float (&values)[8], const FragmentTarget& target,
                                                     int row, long long row_begin, int channel) {
    const int lane = threadIdx.x % 4;
    if constexpr (Config::kChained) {
      if (target.adds_sums) add_sums(values, target.sums + row_begin, row, channel + lane * 2);
      if (!target.is_last) {
        store_floats(values, target.sums + row_begin, row, channel + lane * 2);
        return;
      }
    }
    if constexpr (Config::kPartialOutput) {
      store_floats(values, static_cast<float*>(target.output) + row_begin, row, channel + lane * 2);
    } else {
#pragma unroll
      for (int pair = 0; pair < 4; ++pair) {
        if (row < 0 || channel + pair * 8 >= Config::kOutChannels) break;
        float both[2] = {values[pair * 2], values[pair * 2 + 1]};
        finish<Config>(both, target.parameters, row, channel + pair * 8 + lane * 2);
        values[pair * 2] = both[0];
        values[pair * 2 + 1] = both[1];
      }
      if constexpr (kHalves) {
        store_halves(values, static_cast<Storage*>(target.output) + row_begin, row, channel);
      } else {
        store_floats(values, static_cast<float*>(target.output) + row_begin, row, channel + lane * 2);
      }
    }
  }

  __device__ __forceinline__ static void add_sums(float (&values)[8], const float* source, int row,
                                                  int channel) {
    float2 sums[4];
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      sums[pair] = make_float2(0.0f, 0.0f);
      if (row >= 0 && channel + pair * 8 < Config::kOutChannels) {
        sums[pair] = __ldcg(reinterpret_cast<const float2*>(source + channel + pair * 8));
      }
    }
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      values[pair * 2] += sums[pair].x;
      values[pair * 2 + 1] += sums[pair].y;
    }
  }

  __device__ __forceinline__ static void store_floats(const float (&values)[8], float* target, int row,
                                                      int channel) {
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      if (row >= 0 && channel + pair * 8 < Config::kOutChannels) {
        *reinterpret_cast<float2*>(target + channel + pair * 8) =
            make_float2(values[pair * 2], values[pair * 2 + 1]);
      }
    }
  }

  /// Transposes the four lanes' words: afterwards lane q holds the four words of pair q.
  __device__ __forceinline__ static void trade(unsigned (&words)[4]) {
    const int lane = threadIdx.x % 4;
#pragma unroll
    for (int distance = 1; distance < 4; distance *= 2) {
      const bool upper = (lane & distance) != 0;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if ((i & distance) != 0) continue;
        const unsigned sent = upper ? words[i] : words[i + distance];
        const unsigned received = __shfl_xor_sync(0xffffffffu, sent, distance);
        if (upper) {
          words[i] = received;
        } else {
          words[i + distance] = received;
        }
      }
    }
  }

  __device__ __forceinline__ static void store_halves(const float (&values)[8], Storage* target, int row,
                                                      int channel) {
    unsigned words[4];
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      const unsigned low = from_float<Storage>(values[pair * 2]).bits;
      words[pair] = low | static_cast<unsigned>(from_float<Storage>(values[pair * 2 + 1]).bits) << 16;
    }
    trade(words);
    channel += threadIdx.x % 4 * 8;
    if (row >= 0 && channel < Config::kOutChannels) {
      *reinterpret_cast<uint4*>(target + channel) = make_uint4(words[0], words[1], words[2], words[3]);
    }
  }
};

}  // namespace flexgemm
