#include "core/validate.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "core/fail.hpp"

namespace flexgemm::detail {

namespace {

bool every_extent_in(const Extent3& extent, int low, int high) {
  return extent.x >= low && extent.x <= high && extent.y >= low && extent.y <= high && extent.z >= low &&
         extent.z <= high;
}

}  // namespace

void require_kernel(const Extent3& kernel) {
  if (!every_extent_in(kernel, 1, max_kernel_extent)) {
    fail(ErrorCode::invalid_argument, "the kernel is {}x{}x{}; each extent must lie between 1 and {}",
         kernel.x, kernel.y, kernel.z, max_kernel_extent);
  }
}

void require_dilation(const Extent3& dilation) {
  constexpr int most = 1 << 24;
  if (!every_extent_in(dilation, 1, most)) {
    fail(ErrorCode::invalid_argument, "the dilation is {}x{}x{}; each extent must lie between 1 and {}",
         dilation.x, dilation.y, dilation.z, most);
  }
}

void require_grid(const Grid& grid) {
  if (grid.batch < 1 || grid.x < 1 || grid.y < 1 || grid.z < 1) {
    fail(ErrorCode::invalid_argument, "the grid is batch {}, {}x{}x{}; every extent must be at least 1",
         grid.batch, grid.x, grid.y, grid.z);
  }
}

void require_channels(std::string_view what, std::int64_t channels) {
  if (channels < 1 || channels > max_channels) {
    fail(ErrorCode::invalid_argument, "{} is {}; it must lie between 1 and {}", what, channels, max_channels);
  }
}

void require_shape(std::string_view what, const ConstTensorView& view, const Shape& expected) {
  if (!view.present()) {
    fail(ErrorCode::invalid_argument, "{} is absent; it must have the shape {}", what, to_string(expected));
  }
  if (!(view.shape == expected)) {
    fail(ErrorCode::invalid_argument, "{} has the shape {}; it must have the shape {}", what,
         to_string(view.shape), to_string(expected));
  }
}

void require_type(std::string_view what, const ConstTensorView& view, DType expected) {
  if (storage_type(view.dtype) != storage_type(expected)) {
    fail(ErrorCode::invalid_argument, "{} holds {}; this call needs {}", what, name(view.dtype),
         name(storage_type(expected)));
  }
}

void require_type_or_float(std::string_view what, const ConstTensorView& view, DType expected) {
  if (storage_type(view.dtype) != storage_type(expected) && storage_type(view.dtype) != DType::f32) {
    fail(ErrorCode::invalid_argument, "{} holds {}; this call needs {} or f32", what, name(view.dtype),
         name(storage_type(expected)));
  }
}

void require_data(std::string_view what, const ConstTensorView& view) {
  if (view.shape.elements() == 0) return;
  if (view.data == nullptr) {
    fail(ErrorCode::invalid_argument, "{} has the shape {} but a null pointer", what, to_string(view.shape));
  }
  if (reinterpret_cast<std::uintptr_t>(view.data) % size_of(view.dtype) != 0) {
    fail(ErrorCode::invalid_argument, "{} is at address {}, which is not a multiple of its element size {}",
         what, view.data, size_of(view.dtype));
  }
}

void require_disjoint(std::string_view output_name, const ConstTensorView& output,
                      std::string_view input_name, const ConstTensorView& input) {
  if (output.data == nullptr || input.data == nullptr) return;
  const auto output_begin = reinterpret_cast<std::uintptr_t>(output.data);
  const auto input_begin = reinterpret_cast<std::uintptr_t>(input.data);
  const auto output_end = output_begin + static_cast<std::uintptr_t>(output.bytes());
  const auto input_end = input_begin + static_cast<std::uintptr_t>(input.bytes());
  if (output_begin < input_end && input_begin < output_end) {
    fail(ErrorCode::invalid_argument, "{} overlaps {} in memory; give the output memory of its own",
         output_name, input_name);
  }
}

Shape weight_shape(const Conv3dOptions& conv) {
  return {conv.out_channels, conv.kernel.x, conv.kernel.y, conv.kernel.z, conv.in_channels};
}

Shape transposed_weight_shape(const Conv3dOptions& conv) {
  return {conv.in_channels, conv.kernel.x, conv.kernel.y, conv.kernel.z, conv.out_channels};
}

void require_transposed_weight(std::string_view what, const ConstTensorView& view,
                               const Conv3dOptions& conv) {
  require_shape(what, view, transposed_weight_shape(conv));
  require_type(what, view, conv.dtype);
  require_data(what, view);
  if (reinterpret_cast<std::uintptr_t>(view.data) % transposed_weight_alignment != 0) {
    fail(ErrorCode::invalid_argument,
         "{} is at address {}; transposed weights need an address that is a multiple of {}", what, view.data,
         transposed_weight_alignment);
  }
}

void require_disjoint_gradients(const ConstTensorView& grad_out, const ConstTensorView& feats,
                                const ConstTensorView& weight, const Gradients& gradients) {
  const std::array<std::pair<const char*, ConstTensorView>, 7> tensors{
      {{"gradients.input", gradients.input},
       {"gradients.weight", gradients.weight},
       {"gradients.bias", gradients.bias},
       {"grad_out", grad_out},
       {"feats", feats},
       {"weight", weight},
       {"gradients.transposed_weight", gradients.transposed_weight}}};
  constexpr std::size_t outputs = 3;
  for (std::size_t output = 0; output < outputs; ++output) {
    for (std::size_t other = output + 1; other < tensors.size(); ++other) {
      if (!tensors[output].second.present() || !tensors[other].second.present()) continue;
      require_disjoint(tensors[output].first, tensors[output].second, tensors[other].first,
                       tensors[other].second);
    }
  }
}

}  // namespace flexgemm::detail
