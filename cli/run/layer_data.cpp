#include "run/layer_data.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>
#include <random>

#include "common/failure.hpp"

namespace flexgemm::run {

using namespace cli;

namespace {

template <class T, class Convert>
std::vector<std::byte> convert_all(const std::vector<float>& values, Convert convert) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  for (std::size_t index = 0; index < values.size(); ++index) {
    const T element = convert(values[index]);
    std::memcpy(bytes.data() + index * sizeof(T), &element, sizeof(T));
  }
  return bytes;
}

template <class T>
T element(const void* values, std::int64_t index) {
  T result;
  std::memcpy(&result, static_cast<const char*>(values) + static_cast<std::size_t>(index) * sizeof(T),
              sizeof(T));
  return result;
}

/// Normal deviates by the method of Box and Muller. (std::normal_distribution differs between libraries.)
class NormalDeviates {
 public:
  NormalDeviates(std::uint64_t seed, std::size_t stream) {
    std::seed_seq sequence{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32),
                           static_cast<std::uint32_t>(stream)};
    engine_.seed(sequence);
  }

  void fill(std::vector<float>& values, double deviation) {
    for (std::size_t index = 0; index < values.size(); index += 2) {
      const double radius = deviation * std::sqrt(-2 * std::log(1 - uniform()));
      const double angle = 2 * std::numbers::pi * uniform();
      values[index] = static_cast<float>(radius * std::cos(angle));
      if (index + 1 < values.size()) values[index + 1] = static_cast<float>(radius * std::sin(angle));
    }
  }

 private:
  /// In [0, 1).
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  std::mt19937_64 engine_;
};

}  // namespace

std::vector<std::byte> encode(const std::vector<float>& values, DType dtype) {
  if (storage_type(dtype) == DType::f32) {
    return convert_all<float>(values, [](float value) { return value; });
  }
  if (dtype == DType::bf16) return convert_all<bf16>(values, [](float value) { return to_bf16(value); });
  constexpr float overflow = 65520;  // rounds to infinity, as everything above does
  const auto too_large = std::find_if(values.begin(), values.end(), [](float value) {
    return std::isfinite(value) && std::abs(value) >= overflow;
  });
  if (too_large != values.end()) {
    fail(ErrorCode::invalid_argument,
         "a feature is {}, which f16 cannot hold; use --dtype bf16 or f32, or move the scan closer to the "
         "origin",
         *too_large);
  }
  return convert_all<f16>(values, [](float value) { return to_f16(value); });
}

float decode(const void* values, DType dtype, std::int64_t index) {
  switch (dtype) {
    case DType::f16:
      return to_float(element<f16>(values, index));
    case DType::bf16:
      return to_float(element<bf16>(values, index));
    default:
      return element<float>(values, index);
  }
}

LayerParameters random_parameters(const Conv3dOptions& layer, double pairs_per_voxel, std::uint64_t seed,
                                  std::size_t layer_index) {
  const std::int64_t volume = std::int64_t{layer.kernel.x} * layer.kernel.y * layer.kernel.z;
  std::vector<float> weight(static_cast<std::size_t>(layer.out_channels * volume * layer.in_channels));
  LayerParameters parameters;
  parameters.bias.resize(static_cast<std::size_t>(layer.out_channels));
  NormalDeviates deviates(seed, layer_index);
  const double inputs = std::max(1.0, pairs_per_voxel) * static_cast<double>(layer.in_channels);
  deviates.fill(weight, 1 / std::sqrt(inputs));
  deviates.fill(parameters.bias, 0.1);
  parameters.weight = encode(weight, layer.dtype);
  return parameters;
}

}  // namespace flexgemm::run
