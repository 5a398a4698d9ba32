#pragma once

#include <cstdint>

#include <flexgemm/conv3d.hpp>

#include "core/prepared_epilogue.hpp"
#include "cpu/cpu_map.hpp"

namespace flexgemm::detail {

/// Forward and grad_input as one problem: each output row is the sum, over the pairs that end in it, of an
/// input row times the offset's matrix.
struct GatherProblem {
  const CpuMap* map;
  bool inverse;               ///< pairs end in the map's input rows (grad_input), not in its output rows
  std::int64_t in_channels;   ///< K: channels of an input row of this problem (Co for grad_input)
  std::int64_t out_channels;  ///< columns of the output (Ci for grad_input)
  DType storage;
  const void* input;   ///< [rows, in_channels]
  const void* weight;  ///< [Co, V, Ci] of the convolution
  const void* bias;    ///< [out_channels] or nullptr
  DType bias_dtype;
  void* output;  ///< [rows, out_channels]
  EpilogueArguments epilogue{};

  std::int64_t rows() const noexcept { return map->rows; }
  int volume() const noexcept { return map->volume(); }
  /// Whether pairs are read from the inverse's lists rather than from the map's own rows. A symmetric map
  /// serves as its inverse, with the offsets in reverse order.
  bool uses_inverse_lists() const noexcept { return inverse && !map->symmetric(); }

  /// Element of `weight` that takes channel k of an input row to column c, for offset v as the pairs count
  /// it.
  std::int64_t weight_index(std::int64_t v, std::int64_t k, std::int64_t c) const noexcept {
    const std::int64_t offsets = volume();
    if (!inverse) return (c * offsets + v) * in_channels + k;
    const std::int64_t own = map->symmetric() ? offsets - 1 - v : v;
    return (k * offsets + own) * out_channels + c;
  }
};

}  // namespace flexgemm::detail
