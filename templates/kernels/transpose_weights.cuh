#pragma once

#include "config.cuh"
#include "parameters.cuh"

namespace flexgemm {

/// Weights as grad_input reads them: transposed[ci, v, co] = weight[co, v', ci] with v' = v, or V - 1 - v for
/// the mirrored offsets. One kTile x kTile tile of one offset at a time through shared memory, so that both
/// sides move whole vectors; blocks stride over the tiles.
template <class Config>
struct TransposeWeights {
  using Storage = typename Config::Storage;
  static constexpr int kTile = 64;
  static constexpr int kElementBytes = sizeof(Storage);
  static constexpr int kPitch = kTile + 4 / kElementBytes;  // an odd number of words: columns fall apart
  static constexpr int kInElements = Config::kFeatsVectorBytes / kElementBytes;
  static constexpr int kOutElements = Config::kOutputVectorBytes / kElementBytes;
  static constexpr int kInTiles = ceil_divide(Config::kInChannels, kTile);
  static constexpr int kOutTiles = ceil_divide(Config::kOutChannels, kTile);
  static constexpr long long kTiles = static_cast<long long>(kInTiles) * kOutTiles * Config::kVolume;
  static_assert(Config::kInChannels % kInElements == 0, "an input vector must not cross two offsets");
  static_assert(Config::kOutChannels % kOutElements == 0, "an output vector must not cross two offsets");

  template <int kElements>
  union Pack {
    Vector<kElements * kElementBytes> word;
    Storage elements[kElements];
  };

  __device__ __forceinline__ static void read(const Storage* weight, Storage (&tile)[kTile * kPitch], int v,
                                              int first_out, int first_in) {
    constexpr int kVectors = kTile / kInElements;
    for (int i = threadIdx.x; i < kTile * kVectors; i += Config::kThreads) {
      const int out = i / kVectors;
      const int in = i % kVectors * kInElements;
      if (first_out + out >= Config::kOutChannels || first_in + in >= Config::kInChannels) continue;
      const long long row = static_cast<long long>(first_out + out) * Config::kVolume + v;
      Pack<kInElements> pack;
      pack.word = __ldg(reinterpret_cast<const Vector<Config::kFeatsVectorBytes>*>(
          weight + row * Config::kInChannels + first_in + in));
#pragma unroll
      for (int e = 0; e < kInElements; ++e) tile[out * kPitch + in + e] = pack.elements[e];
    }
  }

  __device__ __forceinline__ static void write(Storage* transposed, const Storage (&tile)[kTile * kPitch],
                                               int v, int first_out, int first_in) {
    constexpr int kVectors = kTile / kOutElements;
    for (int i = threadIdx.x; i < kTile * kVectors; i += Config::kThreads) {
      const int in = i / kVectors;
      const int out = i % kVectors * kOutElements;
      if (first_out + out >= Config::kOutChannels || first_in + in >= Config::kInChannels) continue;
      Pack<kOutElements> pack;
#pragma unroll
      for (int e = 0; e < kOutElements; ++e) pack.elements[e] = tile[(out + e) * kPitch + in];
      const long long row = static_cast<long long>(first_in + in) * Config::kVolume + v;
      *reinterpret_cast<Vector<Config::kOutputVectorBytes>*>(transposed + row * Config::kOutChannels +
                                                             first_out + out) = pack.word;
    }
  }

  __device__ __forceinline__ static void run(const TransposeWeightsParameters& parameters) {
    __shared__ Storage tile[kTile * kPitch];
    const Storage* weight = static_cast<const Storage*>(parameters.weight);
    Storage* transposed = static_cast<Storage*>(parameters.transposed);
    for (long long i = blockIdx.x; i < kTiles; i += gridDim.x) {
      const int first_in = static_cast<int>(i % kInTiles) * kTile;
      const int v = static_cast<int>(i / kInTiles % Config::kVolume);
      const int first_out = static_cast<int>(i / kInTiles / Config::kVolume) * kTile;
      read(weight, tile, v, first_out, first_in);
      __syncthreads();
      write(transposed, tile, parameters.mirrored != 0 ? Config::kVolume - 1 - v : v, first_out, first_in);
      __syncthreads();
    }
  }
};

template <class Config>
__device__ __forceinline__ void transpose_weights(const TransposeWeightsParameters& parameters) {
  TransposeWeights<Config>::run(parameters);
}

}  // namespace flexgemm
