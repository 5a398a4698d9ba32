#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <flexgemm/flexgemm.hpp>

namespace flexgemm::tune {

/// A pass of a layer, as flags or a net file describe it.
struct LayerRequest {
  Op op = Op::forward;
  Conv3dOptions conv;
  Extent3 dilation{1, 1, 1};
  std::int64_t voxels = 0;                ///< N; 0: that of a scene
  std::optional<double> pairs_per_voxel;  ///< none: that of a surface, or of the scene
  std::optional<DType> bias;              ///< forward's bias, none for no bias
};

/// Least and most values that both flags and net files accept.
inline constexpr std::int64_t most_channels = 1 << 20;
inline constexpr std::int64_t most_taps = 7;
inline constexpr std::int64_t most_dilation = 1 << 24;
inline constexpr std::int64_t most_voxels = std::int64_t{1} << 27;

/// Inverse of name(Op). Throws Error{invalid_argument} for any other text.
Op parse_op(std::string_view text);

/// Sets what forward does to a finished sum: "none", or words joined by +, of bias (of the storage type) or
/// bias_f32, scale_shift, residual, and one of relu, leaky_relu, silu and gelu, such as "bias+residual+relu";
/// or "expression:" and an Epilogue::expression. Throws Error{invalid_argument} for any other text, and for
/// an epilogue of an op that has none. `layer.op` and `layer.conv.dtype` must be set.
void parse_epilogue(std::string_view text, LayerRequest& layer);

/// The inverse.
std::string epilogue_text(const LayerRequest& layer);

/// One line: "forward 64 -> 128, 3x3x3, f16, 100000 voxels".
std::string describe(const LayerRequest& layer);

}  // namespace flexgemm::tune
