#include <bit>
#include <utility>

#include <flexgemm/plan.hpp>

#include "core/backend_plan.hpp"
#include "core/fail.hpp"
#include "core/validate.hpp"

namespace flexgemm {

namespace detail {

struct PlanState {
  std::shared_ptr<Backend> backend;  // first: what follows needs it while it dies
  Conv3dOptions conv;
  PlanOptions options;
  const PreparedEpilogue* epilogue = nullptr;
  std::int64_t rows = 0;
  Shape feats, weight, transposed_weight, out, channels;
  Workspace own;
  std::shared_ptr<const MapData> map;
  std::shared_ptr<const BackendPlan> program;

  PlanState() = default;
  PlanState(const PlanState&) = delete;
  PlanState& operator=(const PlanState&) = delete;
  ~PlanState() {
    if (own.data != nullptr) backend->deallocate(own.data, own.bytes, Stream());
  }
};

namespace {

constexpr std::size_t workspace_alignment = 256;

/// What a tensor of a plan must be; the message of a mismatch comes from the same rules as Conv3d's.
struct Expected {
  const char* what;
  const Shape& shape;
  DType dtype;
  int alignment;
};

bool is_aligned(const void* data, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(data) % alignment == 0;
}

/// One comparison each in the good case; the slow path finds out what is wrong.
void require(const Expected& expected, const ConstTensorView& view) {
  if (view.data != nullptr && is_aligned(view.data, static_cast<std::size_t>(expected.alignment)) &&
      storage_type(view.dtype) == storage_type(expected.dtype) && view.shape == expected.shape) [[likely]] {
    return;
  }
  require_shape(expected.what, view, expected.shape);
  require_type(expected.what, view, expected.dtype);
  require_data(expected.what, view);
  if (expected.shape.elements() != 0 &&
      !is_aligned(view.data, static_cast<std::size_t>(expected.alignment))) {
    fail(ErrorCode::invalid_argument,
         "{} is at address {}, but the plan was frozen for tensors aligned to {} bytes "
         "(PlanOptions::alignment)",
         expected.what, view.data, expected.alignment);
  }
}

/// A tensor that calls bring exactly if the plan was frozen for it.
void require_if(bool wanted, const Expected& expected, const ConstTensorView& view, const char* option) {
  if (view.present() != wanted) {
    fail(ErrorCode::invalid_argument, "{} is {}, but the plan was frozen {} it ({})", expected.what,
         view.present() ? "given" : "absent", wanted ? "with" : "without", option);
  }
  if (wanted) require(expected, view);
}

void* workspace_of(const PlanState& plan, const Workspace& workspace) {
  const std::size_t needed = plan.program->workspace_bytes();
  if (needed == 0) return nullptr;
  if (workspace.data == nullptr) {
    if (plan.own.data != nullptr) return plan.own.data;
    fail(ErrorCode::invalid_argument,
         "the plan needs a workspace of {} bytes and was frozen without one of its own "
         "(PlanOptions::own_workspace)",
         needed);
  }
  if (workspace.bytes < needed || !is_aligned(workspace.data, workspace_alignment)) {
    fail(ErrorCode::invalid_argument,
         "the workspace has {} bytes at {}; the plan needs {} bytes aligned to {}", workspace.bytes,
         workspace.data, needed, workspace_alignment);
  }
  return workspace.data;
}

void require_options(const PlanOptions& options, const Conv3dOptions& conv,
                     const PreparedEpilogue* epilogue) {
  if (options.alignment < 1 || options.alignment > 256 ||
      !std::has_single_bit(static_cast<unsigned>(options.alignment))) {
    fail(ErrorCode::invalid_argument, "PlanOptions::alignment is {}; use a power of two from 1 to 256",
         options.alignment);
  }
  if (static_cast<std::size_t>(options.alignment) < size_of(conv.dtype)) {
    fail(ErrorCode::invalid_argument,
         "PlanOptions::alignment is {}, less than the {} bytes of an element of {}", options.alignment,
         size_of(conv.dtype), name(conv.dtype));
  }
  const bool backward = options.input_gradient || options.weight_gradient || options.bias_gradient;
  if (!options.forward && !backward) {
    fail(ErrorCode::invalid_argument,
         "the plan is asked for no pass; set PlanOptions::forward or a gradient");
  }
  if (backward && epilogue != nullptr) {
    fail(ErrorCode::unsupported, "backward does not differentiate the epilogue {}; freeze forward alone",
         epilogue->text);
  }
  if (options.transposed_weight && !options.input_gradient) {
    fail(ErrorCode::invalid_argument,
         "PlanOptions::transposed_weight serves the input gradient alone; set PlanOptions::input_gradient "
         "too");
  }
  const auto require_float_or_storage = [&](const char* what, DType dtype) {
    if (storage_type(dtype) == DType::f32 || storage_type(dtype) == storage_type(conv.dtype)) return;
    fail(ErrorCode::invalid_argument, "PlanOptions::{} is {}; it must be {} or f32", what, name(dtype),
         name(storage_type(conv.dtype)));
  };
  if (options.bias) require_float_or_storage("bias", *options.bias);
  require_float_or_storage("weight_gradient_type", options.weight_gradient_type);
  require_float_or_storage("bias_gradient_type", options.bias_gradient_type);
  if (epilogue != nullptr && epilogue->is_formula && options.bias.has_value() != epilogue->reads_bias) {
    fail(ErrorCode::invalid_argument, "PlanOptions::bias is {}, but the epilogue {} {} it",
         options.bias ? "given" : "absent", epilogue->text, epilogue->reads_bias ? "reads" : "does not read");
  }
}

bool same_convolution(const Conv3dOptions& a, const Conv3dOptions& b) {
  return a.in_channels == b.in_channels && a.out_channels == b.out_channels && a.kernel == b.kernel &&
         a.dtype == b.dtype && a.epilogue == b.epilogue;
}

}  // namespace

}  // namespace detail

using namespace detail;

Plan::Plan(std::shared_ptr<const PlanState> state) noexcept : state_(std::move(state)) {}

const Conv3dOptions& Plan::conv() const { return state_->conv; }
const PlanOptions& Plan::options() const { return state_->options; }
std::int64_t Plan::rows() const { return state_->rows; }
std::size_t Plan::workspace_bytes() const { return state_->program->workspace_bytes(); }

KernelChoice Plan::choice(Op op) const {
  const PlanOptions& options = state_->options;
  const bool frozen = op == Op::forward      ? options.forward
                      : op == Op::grad_input ? options.input_gradient
                                             : options.weight_gradient;
  if (!frozen) fail(ErrorCode::invalid_argument, "the plan was not frozen for {} (PlanOptions)", name(op));
  return state_->program->choice(op);
}

Plan Conv3d::freeze(const NeighborMap& map, const PlanOptions& options, Stream stream) const {
  check_map(map);
  require_options(options, options_, epilogue_);
  if (map.data_->is_frame() && (options.input_gradient || options.weight_gradient || options.bias_gradient)) {
    fail(ErrorCode::unsupported,
         "the map of a FrameMap serves forward alone; build a NeighborMap for gradients");
  }
  auto state = std::make_shared<PlanState>();
  state->backend = backend_;
  state->conv = options_;
  state->options = options;
  state->options.like = nullptr;
  state->epilogue = epilogue_;
  state->rows = map.rows();
  state->feats = {map.rows(), options_.in_channels};
  state->weight = weight_shape(options_);
  state->transposed_weight = transposed_weight_shape(options_);
  state->out = {map.rows(), options_.out_channels};
  state->channels = {options_.out_channels};
  state->map = map.data_;
  const BackendPlan* like = nullptr;
  if (options.like != nullptr) {
    const PlanState& other = *options.like->state_;
    if (!same_convolution(other.conv, options_) || !(other.backend->device() == backend_->device())) {
      fail(ErrorCode::invalid_argument,
           "PlanOptions::like is a plan of another convolution or device; its kernels do not serve this one");
    }
    like = other.program.get();
  }
  state->program = backend_->freeze({.conv = &state->conv,
                                     .map = map.data_,
                                     .epilogue = epilogue_,
                                     .options = &state->options,
                                     .like = like},
                                    stream);
  if (options.own_workspace && state->program->workspace_bytes() != 0) {
    state->own.bytes = state->program->workspace_bytes();
    state->own.data = backend_->allocate(state->own.bytes, stream);
    backend_->synchronize(stream);  // from now on any stream may use it
  }
  return Plan(std::move(state));
}

Plan Conv3d::freeze(const NeighborMap& map) const { return freeze(map, {}, {}); }

void Plan::forward(const ConstTensorView& feats, const ConstTensorView& weight, const ConstTensorView& bias,
                   const TensorView& out, const Workspace& workspace, Stream stream) const {
  forward(feats, weight, out, EpilogueOperands{.bias = bias}, workspace, stream);
}

void Plan::forward(const ConstTensorView& feats, const ConstTensorView& weight, const TensorView& out,
                   const EpilogueOperands& operands, const Workspace& workspace, Stream stream) const {
  const PlanState& plan = *state_;
  if (!plan.options.forward) fail(ErrorCode::invalid_argument, "the plan was not frozen for forward");
  const DType dtype = plan.conv.dtype;
  const int alignment = plan.options.alignment;
  const int float_alignment = sizeof(float);
  const PreparedEpilogue* epilogue = plan.epilogue;
  const bool scaled = epilogue != nullptr && epilogue->reads_scale_shift;
  const DType bias_type = plan.options.bias.value_or(DType::f32);
  require({"feats", plan.feats, dtype, alignment}, feats);
  require({"weight", plan.weight, dtype, alignment}, weight);
  require({"out", plan.out, dtype, alignment}, out);
  require_if(plan.options.bias.has_value(),
             {"bias", plan.channels, bias_type, static_cast<int>(size_of(bias_type))}, operands.bias,
             "PlanOptions::bias");
  constexpr const char* by_epilogue = "Conv3dOptions::epilogue";
  require_if(epilogue != nullptr && epilogue->reads_residual, {"residual", plan.out, dtype, alignment},
             operands.residual, by_epilogue);
  require_if(scaled, {"scale", plan.channels, DType::f32, float_alignment}, operands.scale, by_epilogue);
  require_if(scaled, {"shift", plan.channels, DType::f32, float_alignment}, operands.shift, by_epilogue);
  require_disjoint("out", out, "feats", feats);
  require_disjoint("out", out, "weight", weight);
  if (operands.bias.data != nullptr) require_disjoint("out", out, "bias", operands.bias);
  if (operands.residual.data != nullptr) require_disjoint("out", out, "residual", operands.residual);
  if (scaled) {
    require_disjoint("out", out, "scale", operands.scale);
    require_disjoint("out", out, "shift", operands.shift);
  }
  void* memory = workspace_of(plan, workspace);
  if (plan.rows == 0) return;
  plan.program->forward({.conv = &plan.conv,
                         .map = plan.map.get(),
                         .feats = feats.data,
                         .weight = weight.data,
                         .bias = operands.bias.data,
                         .bias_dtype = storage_type(bias_type),
                         .out = out.data,
                         .epilogue = {.epilogue = epilogue,
                                      .residual = operands.residual.data,
                                      .scale = static_cast<const float*>(operands.scale.data),
                                      .shift = static_cast<const float*>(operands.shift.data)}},
                        memory, stream);
}

void Plan::backward(const ConstTensorView& grad_out, const ConstTensorView& feats,
                    const ConstTensorView& weight, const Gradients& gradients, const Workspace& workspace,
                    Stream stream) const {
  const PlanState& plan = *state_;
  const PlanOptions& options = plan.options;
  if (!options.input_gradient && !options.weight_gradient && !options.bias_gradient) {
    fail(ErrorCode::invalid_argument, "the plan was not frozen for backward (PlanOptions)");
  }
  const DType dtype = plan.conv.dtype;
  const int alignment = options.alignment;
  require({"grad_out", plan.out, dtype, alignment}, grad_out);
  require_if(options.input_gradient, {"gradients.input", plan.feats, dtype, alignment}, gradients.input,
             "PlanOptions::input_gradient");
  require_if(options.weight_gradient,
             {"gradients.weight", plan.weight, options.weight_gradient_type, alignment}, gradients.weight,
             "PlanOptions::weight_gradient");
  require_if(options.bias_gradient,
             {"gradients.bias", plan.channels, options.bias_gradient_type,
              static_cast<int>(size_of(options.bias_gradient_type))},
             gradients.bias, "PlanOptions::bias_gradient");
  if (options.input_gradient) require({"weight", plan.weight, dtype, alignment}, weight);
  if (options.transposed_weight && gradients.transposed_weight.present()) {
    require_transposed_weight("gradients.transposed_weight", gradients.transposed_weight, plan.conv);
  }
  require_if(options.transposed_weight,
             {"gradients.transposed_weight", plan.transposed_weight, dtype, transposed_weight_alignment},
             gradients.transposed_weight, "PlanOptions::transposed_weight");
  if (options.weight_gradient) require({"feats", plan.feats, dtype, alignment}, feats);
  if (gradients.accumulate != options.accumulate) {
    fail(ErrorCode::invalid_argument, "gradients.accumulate is {}, but the plan was frozen with {}",
         gradients.accumulate, options.accumulate);
  }
  require_disjoint_gradients(grad_out, feats, weight, gradients);
  plan.program->backward({.conv = &plan.conv,
                          .map = plan.map.get(),
                          .grad_out = grad_out.data,
                          .feats = options.weight_gradient ? feats.data : nullptr,
                          .weight = options.input_gradient ? weight.data : nullptr,
                          .grad_input = gradients.input.data,
                          .grad_weight = gradients.weight.data,
                          .grad_weight_dtype = storage_type(options.weight_gradient_type),
                          .grad_bias = gradients.bias.data,
                          .grad_bias_dtype = storage_type(options.bias_gradient_type),
                          .accumulate = options.accumulate,
                          .transposed_weight = gradients.transposed_weight.data},
                         workspace_of(plan, workspace), stream);
}

}  // namespace flexgemm
