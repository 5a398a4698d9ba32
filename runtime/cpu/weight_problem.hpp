#pragma once

#include <cstdint>

#include "cpu/cpu_map.hpp"
#include "cpu/storage.hpp"

namespace flexgemm::detail {

/// grad_weight[co, v, ci] = sum over n of grad_out[n, co] * feats[map[n, v], ci]
struct WeightProblem {
  const CpuMap* map;
  std::int64_t in_channels;
  std::int64_t out_channels;
  DType storage;
  const void* feats;     ///< [rows, in_channels]
  const void* grad_out;  ///< [rows, out_channels]
  void* grad_weight;     ///< [out_channels, V, in_channels]
  DType grad_weight_dtype;
  bool accumulate;

  /// Rounds a finished sum once, together with what the element held if sums accumulate.
  void store(std::int64_t co, std::int64_t v, std::int64_t ci, double sum) const noexcept {
    const std::int64_t index = (co * map->volume() + v) * in_channels + ci;
    if (accumulate) sum += static_cast<double>(load_element(grad_weight, grad_weight_dtype, index));
    store_element(grad_weight, grad_weight_dtype, index, static_cast<float>(sum));
  }
};

}  // namespace flexgemm::detail
