#include "cuda/cuda_plan.hpp"

#include <algorithm>
#include <utility>

#include "core/fail.hpp"
#include "cuda/backward_steps.hpp"
#include "cuda/driver.hpp"

namespace flexgemm::detail {

namespace {

std::uint64_t address_of(const void* pointer) { return reinterpret_cast<std::uint64_t>(pointer); }

std::uint64_t& slot(OperandAddresses& addresses, Operand operand) {
  return addresses[static_cast<std::size_t>(operand)];
}

/// The pass with symbolic addresses for its tensors.
GemmPass symbolic_pass(Op op, const FreezeArguments& arguments, const PassRecorder& recorder) {
  const PlanOptions& options = *arguments.options;
  GemmPass pass = pass_without_tensors(*arguments.conv, cuda_map(*arguments.map), op);
  const bool gradient = op != Op::forward;
  if (op != Op::grad_input) pass.feats = recorder.address(Operand::feats);
  if (op != Op::grad_weight) pass.weight = recorder.address(Operand::weight);
  if (gradient) pass.grad_out = recorder.address(Operand::grad_out);
  if (op == Op::forward) {
    pass.output = recorder.address(Operand::out);
    if (options.bias) {
      pass.bias = recorder.address(Operand::bias);
      pass.bias_dtype = storage_type(*options.bias);
    }
    pass.epilogue.epilogue = arguments.epilogue;
    if (arguments.epilogue != nullptr && arguments.epilogue->reads_residual)
      pass.epilogue.residual = recorder.address(Operand::residual);
    if (arguments.epilogue != nullptr && arguments.epilogue->reads_scale_shift) {
      pass.epilogue.scale = static_cast<const float*>(recorder.address(Operand::scale));
      pass.epilogue.shift = static_cast<const float*>(recorder.address(Operand::shift));
    }
  } else if (op == Op::grad_input) {
    pass.output = recorder.address(Operand::grad_input);
    if (options.transposed_weight) pass.transposed_weight = recorder.address(Operand::transposed_weight);
  } else {
    pass.output = recorder.address(Operand::grad_weight);
    pass.output_dtype = storage_type(options.weight_gradient_type);
    pass.accumulate = options.accumulate;
  }
  return pass;
}

}  // namespace

CudaPlan::CudaPlan(std::shared_ptr<const CudaDevice> device, KernelCache& kernels,
                   const FreezeArguments& arguments, const Choose& choose, Stream stream)
    : device_(std::move(device)) {
  if (arguments.map->rows == 0) return;
  const PlanOptions& options = *arguments.options;
  if (options.forward) record(Op::forward, arguments, kernels, choose, stream);
  if (options.input_gradient) record(Op::grad_input, arguments, kernels, choose, stream);
  if (options.weight_gradient) record(Op::grad_weight, arguments, kernels, choose, stream);
  if (options.bias_gradient) {
    const std::int64_t channels = arguments.conv->out_channels;
    const int parts = grad_bias_parts(arguments.map->rows, channels, device_->properties().multiprocessors);
    workspace_bytes_ = std::max(workspace_bytes_, static_cast<std::size_t>(parts * channels) * sizeof(float));
  }
  // What was built on the way is complete: calls need not wait for it, whatever their stream.
  FLEXGEMM_DRIVER(cuStreamSynchronize, stream.handle());
}

void CudaPlan::record(Op op, const FreezeArguments& arguments, KernelCache& kernels, const Choose& choose,
                      Stream stream) {
  PassRecorder recorder(arguments.options->alignment);
  const GemmPass pass = symbolic_pass(op, arguments, recorder);
  const auto* like = static_cast<const CudaPlan*>(arguments.like);
  if (like != nullptr && !like->recorded(op)) {
    fail(ErrorCode::invalid_argument, "PlanOptions::like was not frozen for {}", name(op));
  }
  Recorded recorded{.choice = like != nullptr ? like->recorded(op)->choice : choose(pass), .program = {}};
  run_pass(kernels, pass, recorded.choice, LaunchTarget(stream, &recorder));
  recorded.program = recorder.take();
  workspace_bytes_ = std::max(workspace_bytes_, recorded.program.workspace_bytes());
  passes_[static_cast<std::size_t>(op)] = std::move(recorded);
}

KernelChoice CudaPlan::choice(Op op) const {
  if (!recorded(op)) return {};  // a map without rows runs nothing
  const GemmChoice& choice = recorded(op)->choice;
  return {.algorithm = choice.algorithm,
          .kernel = codegen::to_string(choice.spec),
          .splits = choice.splits,
          .groups = choice.groups};
}

void CudaPlan::forward(const ForwardArguments& arguments, void* workspace, Stream stream) const {
  const ContextScope scope(*device_);
  OperandAddresses addresses{};
  slot(addresses, Operand::feats) = address_of(arguments.feats);
  slot(addresses, Operand::weight) = address_of(arguments.weight);
  slot(addresses, Operand::bias) = address_of(arguments.bias);
  slot(addresses, Operand::residual) = address_of(arguments.epilogue.residual);
  slot(addresses, Operand::scale) = address_of(arguments.epilogue.scale);
  slot(addresses, Operand::shift) = address_of(arguments.epilogue.shift);
  slot(addresses, Operand::out) = address_of(arguments.out);
  slot(addresses, Operand::workspace) = address_of(workspace);
  recorded(Op::forward)->program.run(addresses, stream.handle());
}

void CudaPlan::backward(const BackwardArguments& arguments, void* workspace, Stream stream) const {
  const ContextScope scope(*device_);
  if (arguments.map->rows == 0) return clear_gradients(arguments, stream);
  OperandAddresses addresses{};
  slot(addresses, Operand::feats) = address_of(arguments.feats);
  slot(addresses, Operand::weight) = address_of(arguments.weight);
  slot(addresses, Operand::transposed_weight) = address_of(arguments.transposed_weight);
  slot(addresses, Operand::grad_out) = address_of(arguments.grad_out);
  slot(addresses, Operand::grad_input) = address_of(arguments.grad_input);
  slot(addresses, Operand::grad_weight) = address_of(arguments.grad_weight);
  slot(addresses, Operand::workspace) = address_of(workspace);
  if (recorded(Op::grad_input)) recorded(Op::grad_input)->program.run(addresses, stream.handle());
  if (recorded(Op::grad_weight)) recorded(Op::grad_weight)->program.run(addresses, stream.handle());
  if (arguments.grad_bias == nullptr) return;
  GradBias gradient = grad_bias_of(arguments, *device_);
  gradient.partials = static_cast<float*>(workspace);
  run_grad_bias(gradient, stream.handle());
}

}  // namespace flexgemm::detail
