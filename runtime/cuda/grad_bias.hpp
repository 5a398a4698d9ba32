#pragma once

#include <cstdint>

#include <flexgemm/device.hpp>
#include <flexgemm/dtype.hpp>

namespace flexgemm::detail {

/// Column sums of grad_out [rows, channels] in two stages, each in a fixed order: parts of the rows, then the
/// parts.
struct GradBias {
  const void* grad_out;
  DType dtype;        // storage type of grad_out
  std::int64_t rows;  // >= 1
  std::int64_t channels;
  int parts;           // grad_bias_parts()
  float* partials;     // [parts, channels]
  void* output;        // [channels]
  DType output_dtype;  // f32 or dtype
  bool accumulate;     // add to what output holds
};

/// Parts that the rows are cut into so that `multiprocessors` are busy.
int grad_bias_parts(std::int64_t rows, std::int64_t channels, int multiprocessors);

void run_grad_bias(const GradBias& gradient, CUstream_st* stream);

}  // namespace flexgemm::detail
