#pragma once

#include "config.cuh"
#include "epilogue/finish.cuh"
#include "parameters.cuh"

namespace flexgemm {

/// Adds the partial sums of a split grad_weight in the order of their parts, so that the result never depends
/// on timing.
template <class Config>
__device__ __forceinline__ void reduce_gradient(const ReduceGradientParameters& parameters) {
  using Storage = typename Config::Storage;
  using Output = typename SelectType<Config::kPartialOutput, float, Storage>::type;
  constexpr int kElements = Config::kOutputVectorBytes / static_cast<int>(sizeof(Output));
  constexpr int kVectors = Config::kInChannels / kElements;  // of one offset
  constexpr long long kPart =
      static_cast<long long>(Config::kOutChannels) * Config::kOffsets * Config::kInChannels;
  constexpr long long kCount = static_cast<long long>(Config::kOutChannels) * Config::kVolume * kVectors;
  static_assert(Config::kInChannels % kElements == 0, "a vector must not cross two offsets");
  const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < kCount; i += stride) {
    const long long row = i / kVectors;  // (co, v)
    const int v = static_cast<int>(row % Config::kVolume);
    const int group = v / Config::kOffsets;
    const bool uniform = parameters.part_range == nullptr;
    const int2 range = uniform
                           ? make_int2(group * parameters.group_parts, (group + 1) * parameters.group_parts)
                           : __ldg(reinterpret_cast<const int2*>(parameters.part_range) + group);
    int part = range.x;
    Output* output = static_cast<Output*>(parameters.output) + i * kElements;
    float sums[kElements] = {};
    if (parameters.accumulate != 0) load_converted(sums, output);
    const float* partial =
        parameters.partials + part * kPart +
        ((row / Config::kVolume) * Config::kOffsets + v % Config::kOffsets) * Config::kInChannels +
        i % kVectors * kElements;
#pragma unroll 4
    for (; part < range.y; ++part, partial += kPart) {
      float loaded[kElements];
      load_floats(loaded, partial);
#pragma unroll
      for (int e = 0; e < kElements; ++e) sums[e] += loaded[e];
    }
    store_converted(sums, output);
  }
}

}  // namespace flexgemm
