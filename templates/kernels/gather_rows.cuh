#pragma once

#include "config.cuh"
#include "parameters.cuh"

namespace flexgemm {

/// The gather of explicit_gemm: one thread a vector, grid-stride, zeros where there is no neighbor.
template <class Config>
__device__ __forceinline__ void gather_rows(const GatherRowsParameters& parameters) {
  using Storage = typename Config::Storage;
  using Word = Vector<Config::kFeatsVectorBytes>;
  constexpr int kElements = Config::kFeatsVectorBytes / static_cast<int>(sizeof(Storage));
  constexpr int kVectors = Config::kInChannels / kElements;
  static_assert(Config::kInChannels % kElements == 0, "a vector must not cross two offsets");
  const Word* feats = static_cast<const Word*>(parameters.feats);
  const int* indices = parameters.indices + parameters.first_row * Config::kVolume;
  Word* gathered = static_cast<Word*>(parameters.gathered);
  const long long count = parameters.rows * Config::kVolume * kVectors;
  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) {
    const int row = __ldg(indices + i / kVectors);
    gathered[i] = row < 0 ? Word{} : __ldg(feats + static_cast<long long>(row) * kVectors + i % kVectors);
  }
}

}  // namespace flexgemm
