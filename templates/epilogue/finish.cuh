#pragma once

#include "config.cuh"
#include "ptx/convert.cuh"

// The last arithmetic before a result leaves the chip: bias and conversion. Shared by implicit_gemm and
// reduce_partials, so that split and unsplit reductions finish alike.

namespace flexgemm {

/// bias[channel] as float, 0 without a bias.
template <class Config>
__device__ __forceinline__ float bias_of(const void* bias, int channel) {
  if constexpr (Config::kBias == BiasType::f32) {
    return __ldg(static_cast<const float*>(bias) + channel);
  } else if constexpr (Config::kBias == BiasType::storage) {
    return to_float(static_cast<const typename Config::Storage*>(bias)[channel]);
  } else {
    return 0.0f;
  }
}

/// Reads kElements consecutive floats with the widest loads that their number allows.
template <int kElements>
__device__ __forceinline__ void load_floats(float (&values)[kElements], const float* source) {
  constexpr int kWidth = kElements % 4 == 0 ? 4 : kElements % 2 == 0 ? 2 : 1;
  using Word = Vector<kWidth * 4>;
#pragma unroll
  for (int i = 0; i < kElements; i += kWidth) {
    union {
      Word word;
      float elements[kWidth];
    } loaded;
    loaded.word = *reinterpret_cast<const Word*>(source + i);
#pragma unroll
    for (int e = 0; e < kWidth; ++e) values[i + e] = loaded.elements[e];
  }
}

/// Converts kElements floats and stores them as one vector.
template <class Output, int kElements>
__device__ __forceinline__ void store_converted(const float (&values)[kElements], Output* target) {
  using Word = Vector<kElements* static_cast<int>(sizeof(Output))>;
  union {
    Word word;
    Output elements[kElements];
  } result;
#pragma unroll
  for (int i = 0; i < kElements; ++i) result.elements[i] = from_float<Output>(values[i]);
  *reinterpret_cast<Word*>(target) = result.word;
}

/// Adds the bias to `values`, the channels from `channel` on of one row.
template <class Config, int kElements>
__device__ __forceinline__ void add_bias(float (&values)[kElements], const void* bias, int channel) {
  if constexpr (Config::kBias != BiasType::none) {
#pragma unroll
    for (int i = 0; i < kElements; ++i) values[i] += bias_of<Config>(bias, channel + i);
  }
}

}  // namespace flexgemm
