#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <flexgemm/export.hpp>
#include <flexgemm/tensor_view.hpp>

namespace flexgemm {

/// What is applied last. NaN stays NaN.
enum class Activation : std::uint8_t {
  none,
  relu,        ///< x < 0 ? 0 : x
  leaky_relu,  ///< x < 0 ? slope * x : x
  silu,        ///< x / (1 + exp(-x))
  gelu,        ///< 0.5 * x * (1 + erf(x / sqrt(2))): the exact form, not the one with tanh
};

/// "none", "relu", "leaky_relu", "silu", "gelu".
FLEXGEMM_API const char* name(Activation activation) noexcept;
/// Inverse of `name`. Throws Error{invalid_argument} for any other text.
FLEXGEMM_API Activation parse_activation(std::string_view text);

/// What a convolution's forward pass does to a finished sum before it is stored, at no cost in memory
/// traffic:
///   out[n, co] = activation((acc + bias[co]) * scale[co] + shift[co] + residual[n, co])
/// in float, in this order, where acc is the sum over offsets and input channels and what is not asked for is
/// left out. A batch norm in inference is scale = gamma / sqrt(variance + epsilon), shift = beta - mean *
/// scale. Part of Conv3dOptions; the operands come with each call (EpilogueOperands). A bias is given or not
/// at each call. The default does nothing and costs nothing.
struct FLEXGEMM_API Epilogue {
  bool scale_shift = false;  ///< each call brings `scale` and `shift`
  bool residual = false;     ///< each call brings `residual`
  Activation activation = Activation::none;
  float slope = 0.01F;  ///< of leaky_relu; finite
  /// Written by `expression`: canonical text, which replaces all of the formula above.
  std::string formula{};

  /// out[n, co] = an expression of CUDA C++ over
  ///   acc (without the bias), bias (bias[co]), residual (residual[n, co]), channel (co)
  /// and decimal numbers, with + - * /, unary minus, < <= > >= == !=, c ? a : b, parentheses, and the
  /// functions min max abs exp log sqrt tanh erf sigmoid fma relu leaky_relu(x, slope) silu gelu. All are
  /// floats, so 1 / 2 is 0.5; c must be a comparison; both a and b are computed. A call brings exactly those
  /// of bias and residual that the expression names. At most 512 characters and 32 levels of nesting.
  /// Example:
  ///   Epilogue::expression("silu(acc + bias) * residual")
  /// Throws Error{invalid_argument} that says where the text is wrong and why.
  static Epilogue expression(std::string_view text);

  friend bool operator==(const Epilogue&, const Epilogue&) noexcept = default;
};

/// The tensors of an epilogue, for one call.
struct EpilogueOperands {
  ConstTensorView bias{};      ///< [Co], storage type of the convolution or f32
  ConstTensorView residual{};  ///< [N, Co], storage type; must not overlap `out`
  ConstTensorView scale{};     ///< [Co], f32
  ConstTensorView shift{};     ///< [Co], f32
};

}  // namespace flexgemm
