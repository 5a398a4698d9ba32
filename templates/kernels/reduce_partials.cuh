#pragma once

#include "config.cuh"
#include "epilogue/finish.cuh"
#include "parameters.cuh"

namespace flexgemm {

/// Adds the partial sums of a split reduction in split order, so that the result never depends on timing.
template <class Config>
__device__ __forceinline__ void reduce_partials(const ReducePartialsParameters& parameters) {
  using Storage = typename Config::Storage;
  constexpr int kElements = Config::kOutputVectorBytes / static_cast<int>(sizeof(Storage));
  constexpr int kVectors = Config::kOutChannels / kElements;
  static_assert(Config::kOutChannels % kElements == 0, "a vector must not cross two rows");
  const long long live_rows = parameters.live_rows == nullptr ? parameters.rows : __ldg(parameters.live_rows);
  const long long count = live_rows * kVectors;
  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
  const long long partial_stride = parameters.rows * Config::kOutChannels;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) {
    float sums[kElements] = {};
    const float* partial = parameters.partials + i * kElements;
    for (int split = 0; split < parameters.splits; ++split, partial += partial_stride) {
      float loaded[kElements];
      load_floats(loaded, partial);
#pragma unroll
      for (int e = 0; e < kElements; ++e) sums[e] += loaded[e];
    }
    const int channel = static_cast<int>(i % kVectors) * kElements;
    finish<Config>(sums, parameters, i / kVectors, channel);
    store_converted(sums, static_cast<Storage*>(parameters.output) + i * kElements);
  }
}

}  // namespace flexgemm
