#pragma once

#include "config.cuh"
#include "epilogue/functions.cuh"
#include "ptx/convert.cuh"

// The last arithmetic before a result leaves the chip: bias, epilogue and conversion. Shared by implicit_gemm
// and reduce_partials, so that split and unsplit reductions finish alike.

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

/// Reads kElements elements of the storage type as one vector.
template <class Storage, int kElements>
__device__ __forceinline__ void load_storage(float (&values)[kElements], const Storage* source) {
  using Word = Vector<kElements* static_cast<int>(sizeof(Storage))>;
  union {
    Word word;
    Storage elements[kElements];
  } loaded;
  loaded.word = __ldg(reinterpret_cast<const Word*>(source));
#pragma unroll
  for (int i = 0; i < kElements; ++i) values[i] = to_float(loaded.elements[i]);
}

/// The same from memory that this kernel may have written.
template <class Output, int kElements>
__device__ __forceinline__ void load_converted(float (&values)[kElements], const Output* source) {
  using Word = Vector<kElements* static_cast<int>(sizeof(Output))>;
  union {
    Word word;
    Output elements[kElements];
  } loaded;
  loaded.word = *reinterpret_cast<const Word*>(source);
#pragma unroll
  for (int i = 0; i < kElements; ++i) values[i] = to_float(loaded.elements[i]);
}

/// Adds the bias to `values`, the channels from `channel` on of output row `row`, or computes the epilogue,
/// which adds the bias itself. `parameters` has the operands' pointers.
template <class Config, class Parameters, int kElements>
__device__ __forceinline__ void finish(float (&values)[kElements], const Parameters& parameters,
                                       long long row, int channel) {
  if constexpr (Config::kEpilogue) {
    using Storage = typename Config::Storage;
    float residual[kElements] = {};
    if constexpr (Config::kReadsResidual) {
      load_storage(residual,
                   static_cast<const Storage*>(parameters.residual) + row * Config::kOutChannels + channel);
    }
#pragma unroll
    for (int i = 0; i < kElements; ++i) {
      float scale = 0.0f;
      float shift = 0.0f;
      if constexpr (Config::kReadsScale) scale = __ldg(parameters.scale + channel + i);
      if constexpr (Config::kReadsShift) shift = __ldg(parameters.shift + channel + i);
      values[i] = Config::epilogue(values[i], bias_of<Config>(parameters.bias, channel + i), residual[i],
                                   scale, shift, static_cast<float>(channel + i));
    }
  } else if constexpr (Config::kBias != BiasType::none) {
#pragma unroll
    for (int i = 0; i < kElements; ++i) values[i] += bias_of<Config>(parameters.bias, channel + i);
  }
}

}  // namespace flexgemm
