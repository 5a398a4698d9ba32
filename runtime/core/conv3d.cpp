#include <array>
#include <cstddef>
#include <utility>

#include <flexgemm/conv3d.hpp>

#include "core/backend.hpp"
#include "core/fail.hpp"
#include "core/validate.hpp"

namespace flexgemm {

using namespace detail;

namespace {

/// A tensor that the call needs: present, of the expected shape and storage type, with memory behind it.
void require_tensor(std::string_view what, const ConstTensorView& view, const Shape& shape, DType dtype) {
  require_shape(what, view, shape);
  require_type(what, view, dtype);
  require_data(what, view);
}

/// The same where float is accepted whatever the convolution's type.
void require_tensor_or_float(std::string_view what, const ConstTensorView& view, const Shape& shape,
                             DType dtype) {
  require_shape(what, view, shape);
  require_type_or_float(what, view, dtype);
  require_data(what, view);
}

/// An operand of the epilogue is there exactly if the epilogue reads it.
void require_presence(const char* what, const ConstTensorView& view, bool read,
                      const PreparedEpilogue* epilogue) {
  if (view.present() == read) return;
  const std::string text = epilogue == nullptr ? "none" : epilogue->text;
  fail(ErrorCode::invalid_argument,
       "{} is {}, but the convolution's epilogue (Conv3dOptions::epilogue: {}) {} it", what,
       read ? "absent" : "given", text, read ? "reads" : "does not read");
}

void require_operands(const EpilogueOperands& operands, const PreparedEpilogue* epilogue, const Shape& out,
                      DType dtype) {
  const Shape channels{out[1]};
  const bool scaled = epilogue != nullptr && epilogue->reads_scale_shift;
  if (epilogue != nullptr && epilogue->is_formula)
    require_presence("bias", operands.bias, epilogue->reads_bias, epilogue);
  require_presence("residual", operands.residual, epilogue != nullptr && epilogue->reads_residual, epilogue);
  require_presence("scale", operands.scale, scaled, epilogue);
  require_presence("shift", operands.shift, scaled, epilogue);
  if (operands.bias.present()) require_tensor_or_float("bias", operands.bias, channels, dtype);
  if (operands.residual.present()) require_tensor("residual", operands.residual, out, dtype);
  if (scaled) {
    require_tensor("scale", operands.scale, channels, DType::f32);
    require_tensor("shift", operands.shift, channels, DType::f32);
  }
}

}  // namespace

Conv3d::Conv3d(std::shared_ptr<Backend> backend, Conv3dOptions options)
    : backend_(std::move(backend)),
      options_(std::move(options)),
      epilogue_(prepare_epilogue(options_.epilogue)) {}

const Conv3dOptions& Conv3d::options() const { return options_; }

void Conv3d::check_map(const NeighborMap& map) const {
  if (backend_ == nullptr) {
    fail(ErrorCode::invalid_argument, "this Conv3d is an empty handle; make one with Context::conv3d");
  }
  if (!map) {
    fail(ErrorCode::invalid_argument, "the neighbor map is an empty handle; make one with submanifold_map");
  }
  if (!(map.device() == backend_->device())) {
    fail(ErrorCode::invalid_argument, "the neighbor map lies on {} but the convolution on {}",
         to_string(map.device()), to_string(backend_->device()));
  }
  if (map.data_->address_space != backend_->address_space()) {
    fail(ErrorCode::invalid_argument,
         "the neighbor map and the convolution lie in different CUDA contexts of {}; make both from contexts "
         "that were opened with the same ContextOptions::cuda_context",
         to_string(map.device()));
  }
  const Extent3 built = map.kernel();
  const Extent3 wanted = options_.kernel;
  if (!(built == wanted)) {
    fail(ErrorCode::invalid_argument,
         "the neighbor map was built for a {}x{}x{} kernel but the convolution has {}x{}x{}", built.x,
         built.y, built.z, wanted.x, wanted.y, wanted.z);
  }
}

KernelChoice Conv3d::choice(const NeighborMap& map, Op op) const {
  check_map(map);
  return backend_->choice(options_, *map.data_, op);
}

void Conv3d::forward(const NeighborMap& map, const ConstTensorView& feats, const ConstTensorView& weight,
                     const ConstTensorView& bias, const TensorView& out, Stream stream) const {
  forward(map, feats, weight, out, EpilogueOperands{.bias = bias}, stream);
}

void Conv3d::forward(const NeighborMap& map, const ConstTensorView& feats, const ConstTensorView& weight,
                     const TensorView& out, const EpilogueOperands& operands, Stream stream) const {
  check_map(map);
  const DType dtype = options_.dtype;
  require_tensor("feats", feats, {map.rows(), options_.in_channels}, dtype);
  require_tensor("weight", weight, weight_shape(options_), dtype);
  require_operands(operands, epilogue_, {map.rows(), options_.out_channels}, dtype);
  require_tensor("out", out, {map.rows(), options_.out_channels}, dtype);
  require_disjoint("out", out, "feats", feats);
  require_disjoint("out", out, "weight", weight);
  for (const auto& [what, view] :
       {std::pair{"bias", &operands.bias}, std::pair{"residual", &operands.residual},
        std::pair{"scale", &operands.scale}, std::pair{"shift", &operands.shift}}) {
    if (view->present()) require_disjoint("out", out, what, *view);
  }
  if (map.rows() == 0) return;
  backend_->forward({.conv = &options_,
                     .map = map.data_.get(),
                     .feats = feats.data,
                     .weight = weight.data,
                     .bias = operands.bias.data,
                     .bias_dtype = storage_type(operands.bias.dtype),
                     .out = out.data,
                     .epilogue = {.epilogue = epilogue_,
                                  .residual = operands.residual.data,
                                  .scale = static_cast<const float*>(operands.scale.data),
                                  .shift = static_cast<const float*>(operands.shift.data)}},
                    stream);
}

void Conv3d::backward(const NeighborMap& map, const ConstTensorView& grad_out, const ConstTensorView& feats,
                      const ConstTensorView& weight, const Gradients& gradients, Stream stream) const {
  check_map(map);
  if (map.data_->is_frame()) {
    fail(ErrorCode::unsupported,
         "the map of a FrameMap serves forward alone; build a NeighborMap for gradients");
  }
  if (epilogue_ != nullptr) {
    fail(ErrorCode::unsupported,
         "backward does not differentiate the epilogue {}; use a convolution without one and the gradient of "
         "its "
         "sums",
         epilogue_->text);
  }
  const DType dtype = options_.dtype;
  const Shape feats_shape{map.rows(), options_.in_channels};
  require_tensor("grad_out", grad_out, {map.rows(), options_.out_channels}, dtype);
  BackwardArguments arguments{.conv = &options_,
                              .map = map.data_.get(),
                              .grad_out = grad_out.data,
                              .feats = nullptr,
                              .weight = nullptr,
                              .grad_input = nullptr,
                              .grad_weight = nullptr,
                              .grad_weight_dtype = storage_type(gradients.weight.dtype),
                              .grad_bias = nullptr,
                              .grad_bias_dtype = storage_type(gradients.bias.dtype),
                              .accumulate = gradients.accumulate,
                              .transposed_weight = nullptr};
  if (gradients.input.present()) {
    require_tensor("weight", weight, weight_shape(options_), dtype);
    require_tensor("gradients.input", gradients.input, feats_shape, dtype);
    arguments.weight = weight.data;
    arguments.grad_input = gradients.input.data;
    if (gradients.transposed_weight.present()) {
      require_transposed_weight("gradients.transposed_weight", gradients.transposed_weight, options_);
      arguments.transposed_weight = gradients.transposed_weight.data;
    }
  }
  if (gradients.weight.present()) {
    require_tensor("feats", feats, feats_shape, dtype);
    require_tensor_or_float("gradients.weight", gradients.weight, weight_shape(options_), dtype);
    arguments.feats = feats.data;
    arguments.grad_weight = gradients.weight.data;
  }
  if (gradients.bias.present()) {
    require_tensor_or_float("gradients.bias", gradients.bias, {options_.out_channels}, dtype);
    arguments.grad_bias = gradients.bias.data;
  }
  require_disjoint_gradients(grad_out, feats, weight, gradients);
  // With no rows the weight and bias gradients are zeros, which the backend still has to write.
  backend_->backward(arguments, stream);
}

void Conv3d::transpose_weight(const ConstTensorView& weight, const TensorView& transposed,
                              Stream stream) const {
  require_tensor("weight", weight, weight_shape(options_), options_.dtype);
  require_transposed_weight("transposed", transposed, options_);
  require_disjoint("transposed", transposed, "weight", weight);
  backend_->transpose_weight(options_, weight.data, transposed.data, stream);
}

}  // namespace flexgemm
