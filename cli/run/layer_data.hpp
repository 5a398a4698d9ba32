#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <flexgemm/flexgemm.hpp>

namespace flexgemm::run {

/// `values` in the storage type of `dtype`, rounded to nearest. Throws Error{invalid_argument} if a finite
/// value overflows the type.
std::vector<std::byte> encode(const std::vector<float>& values, DType dtype);

/// Element `index` of an array in the storage type of `dtype`.
float decode(const void* values, DType dtype, std::int64_t index);

/// Random parameters of one layer, in host memory.
struct LayerParameters {
  std::vector<std::byte> weight;  ///< [Co, Kx, Ky, Kz, Ci] in the storage type
  std::vector<float> bias;        ///< [Co]
};

/// Weights are normal with the variance 1 / (pairs_per_voxel * Ci), which keeps the size of the features from
/// layer to layer; biases are normal with the deviation 0.1. The same arguments give the same parameters on
/// every machine.
LayerParameters random_parameters(const Conv3dOptions& layer, double pairs_per_voxel, std::uint64_t seed,
                                  std::size_t layer_index);

}  // namespace flexgemm::run
