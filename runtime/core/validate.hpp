#pragma once

#include <string_view>

#include <flexgemm/conv3d.hpp>
#include <flexgemm/neighbor_map.hpp>
#include <flexgemm/tensor_view.hpp>

namespace flexgemm::detail {

/// Taps along an axis that the library supports.
inline constexpr int max_kernel_extent = 7;
/// Channels of one tensor: far above any network, low enough that V * Ci * Co stays below 2^63.
inline constexpr std::int64_t max_channels = 1 << 20;
/// Rows are numbered by int32.
inline constexpr std::int64_t max_rows = 0x7fffffff;

/// Each throws Error{invalid_argument} with `what`, the offending value and what is expected.
void require_kernel(const Extent3& kernel);
void require_dilation(const Extent3& dilation);
void require_grid(const Grid& grid);
void require_channels(std::string_view what, std::int64_t channels);
void require_shape(std::string_view what, const ConstTensorView& view, const Shape& expected);
void require_type(std::string_view what, const ConstTensorView& view, DType expected);
/// `expected` (storage type) or f32.
void require_type_or_float(std::string_view what, const ConstTensorView& view, DType expected);
/// A view with elements has a non-null pointer that is aligned to its element size.
void require_data(std::string_view what, const ConstTensorView& view);

/// The memory of an output does not overlap that of an input.
void require_disjoint(std::string_view output_name, const ConstTensorView& output,
                      std::string_view input_name, const ConstTensorView& input);

/// The shape of the weights, and of what Conv3d::transpose_weight makes of them.
Shape weight_shape(const Conv3dOptions& conv);
Shape transposed_weight_shape(const Conv3dOptions& conv);
/// Bytes that the address of transposed weights is a multiple of.
inline constexpr int transposed_weight_alignment = 16;
/// Transposed weights of the convolution, with memory so aligned.
void require_transposed_weight(std::string_view what, const ConstTensorView& view, const Conv3dOptions& conv);

/// No gradient overlaps an input or another gradient.
void require_disjoint_gradients(const ConstTensorView& grad_out, const ConstTensorView& feats,
                                const ConstTensorView& weight, const Gradients& gradients);

}  // namespace flexgemm::detail
