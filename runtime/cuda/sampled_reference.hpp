#pragma once

#include <cstdint>

#include <flexgemm/conv3d.hpp>

namespace flexgemm::detail {

// What the tuner checks kernels against: a few results of a pass, computed in double by kernels that share
// nothing with those under test. All pointers are device memory; all calls enqueue on `stream` and throw
// Error{driver}.

/// The operands of a pass in memory.
struct ReferencePass {
  Op op = Op::forward;
  DType dtype = DType::f32;  ///< of feats, weight and grad_out
  std::int64_t rows = 0;     ///< N
  int volume = 1;            ///< V
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  const std::int32_t* indices = nullptr;  ///< [N, V]
  const void* feats = nullptr;            ///< [N, Ci]
  const void* weight = nullptr;           ///< [Co, V, Ci]
  const void* grad_out = nullptr;         ///< [N, Co]
  const void* bias = nullptr;             ///< [Co], or null
  DType bias_dtype = DType::f32;
};

/// Which results are compared. forward and grad_input: whole rows of the output, `row` [count].
/// grad_weight: `count` patches of patch x patch channels, each at one offset: `row` holds the offset, and
/// `first_out`, `first_in` its corner.
struct Samples {
  std::int64_t count = 0;
  const std::int32_t* row = nullptr;
  const std::int32_t* first_out = nullptr;
  const std::int32_t* first_in = nullptr;
};
inline constexpr int patch = 8;

/// Results a sample has: row width, or patch * patch.
std::int64_t sample_width(const ReferencePass& pass);

/// Input rows that the sampled rows of forward or grad_input meet: `slots` [count, V], -1 for none. `lookup`
/// [N] is scratch for grad_input.
void find_slots(const ReferencePass& pass, const Samples& samples, std::int32_t* slots, std::int32_t* lookup,
                CUstream_st* stream);

/// `expected` [count, sample_width]. `slots` as find_slots left them; unused by grad_weight.
void compute_reference(const ReferencePass& pass, const Samples& samples, const std::int32_t* slots,
                       double* expected, CUstream_st* stream);

/// sums[0] = sum of (output - expected)^2 over the samples, sums[1] = sum of expected^2, both NaN or infinite
/// if an output is; sums[2] = number of elements of the whole output that are not finite. The order of
/// summation is fixed.
void compare_samples(const ReferencePass& pass, const Samples& samples, const double* expected,
                     const void* output, DType output_dtype, double* sums, CUstream_st* stream);

/// Random values of mean 0 and deviation `scale` in a storage type.
void fill_random(void* target, DType dtype, std::int64_t count, std::uint64_t seed, float scale,
                 CUstream_st* stream);

/// Every byte 0xff: NaN in every storage type.
void poison(void* target, std::int64_t bytes, CUstream_st* stream);

}  // namespace flexgemm::detail
