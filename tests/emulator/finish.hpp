#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "codegen/kernel_spec.hpp"
#include "emulator/tensor.hpp"

namespace flexgemm::emulator {

/// The one epilogue that the emulated specs have, and its formula.
inline constexpr const char* known_epilogue = "relu((acc+bias)*scale+shift+residual)";

/// Operands of the last arithmetic: bias, residual, scale and shift.
struct Finish {
  Tensor bias, residual, scale, shift;

  Finish(const codegen::KernelSpec& spec, std::int64_t rows, std::uint64_t seed)
      : bias(Tensor::random(spec.bias == codegen::BiasType::f32 ? codegen::ElementType::f32 : spec.compute,
                            spec.out_channels, 1.0, seed)),
        residual(Tensor::random(spec.compute, rows * spec.out_channels, 1.0, seed + 1)),
        scale(Tensor::random(codegen::ElementType::f32, spec.out_channels, 1.0, seed + 2)),
        shift(Tensor::random(codegen::ElementType::f32, spec.out_channels, 1.0, seed + 3)) {}

  template <class Parameters>
  void bind(const codegen::KernelSpec& spec, Parameters& parameters) const {
    parameters.bias = spec.bias == codegen::BiasType::none ? nullptr : bias.data();
    if (spec.epilogue.empty()) return;
    parameters.residual = residual.data();
    parameters.scale = static_cast<const float*>(scale.data());
    parameters.shift = static_cast<const float*>(shift.data());
  }

  /// Applies it to finished sums without bias [rows, Co].
  void apply(const codegen::KernelSpec& spec, std::vector<double>& sums) const {
    if (spec.output == codegen::OutputType::partial) return;
    if (!spec.epilogue.empty() && spec.epilogue != known_epilogue)
      throw std::invalid_argument("no formula here for the epilogue " + spec.epilogue);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const auto channel = static_cast<std::int64_t>(i) % spec.out_channels;
      if (spec.bias != codegen::BiasType::none) sums[i] += bias.at(channel);
      if (!spec.epilogue.empty())
        sums[i] = std::max(
            0.0, sums[i] * scale.at(channel) + shift.at(channel) + residual.at(static_cast<std::int64_t>(i)));
    }
  }
};

}  // namespace flexgemm::emulator
