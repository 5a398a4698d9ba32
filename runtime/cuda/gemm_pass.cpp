#include "cuda/gemm_pass.hpp"

#include "core/fail.hpp"
#include "cuda/pass_run.hpp"

namespace flexgemm::detail {

const CudaMap& cuda_map(const MapData& map) { return static_cast<const CudaMap&>(map); }

namespace {

GemmPass bare_pass(const Conv3dOptions& conv, const CudaMap& map, Op op) {
  GemmPass pass;
  pass.op = op;
  pass.conv = &conv;
  pass.map = &map;
  pass.output_dtype = op == Op::grad_weight ? DType::f32 : storage_type(conv.dtype);
  return pass;
}

}  // namespace

GemmPass pass_without_tensors(const Conv3dOptions& conv, const CudaMap& map, Op op) {
  GemmPass pass = bare_pass(conv, map, op);
  if (op == Op::forward) pass.epilogue.epilogue = prepare_epilogue(conv.epilogue);
  return pass;
}

GemmPass forward_pass(const ForwardArguments& arguments) {
  GemmPass pass = bare_pass(*arguments.conv, cuda_map(*arguments.map), Op::forward);
  pass.feats = arguments.feats;
  pass.weight = arguments.weight;
  pass.bias = arguments.bias;
  pass.bias_dtype = arguments.bias_dtype;
  pass.output = arguments.out;
  pass.epilogue = arguments.epilogue;
  return pass;
}

GemmPass grad_input_pass(const BackwardArguments& arguments) {
  GemmPass pass = bare_pass(*arguments.conv, cuda_map(*arguments.map), Op::grad_input);
  pass.grad_out = arguments.grad_out;
  pass.weight = arguments.weight;
  pass.transposed_weight = arguments.transposed_weight;
  pass.output = arguments.grad_input;
  return pass;
}

GemmPass grad_weight_pass(const BackwardArguments& arguments) {
  GemmPass pass = bare_pass(*arguments.conv, cuda_map(*arguments.map), Op::grad_weight);
  pass.grad_out = arguments.grad_out;
  pass.feats = arguments.feats;
  pass.output = arguments.grad_weight;
  pass.output_dtype = arguments.grad_weight_dtype;
  pass.accumulate = arguments.accumulate;
  return pass;
}

void run_pass(KernelCache& kernels, const GemmPass& pass, const GemmChoice& choice,
              const LaunchTarget& target) {
  if (choice.algorithm == Algorithm::automatic) {
    fail(ErrorCode::internal, "a {} pass was started before its algorithm was chosen", name(pass.op));
  }
  if (pass.map->rows == 0) return;
  pass.map->wait_ready(target);
  const PassRun run{kernels, pass, choice, target};
  switch (pass.op) {
    case Op::forward:
      run_forward(run);
      break;
    case Op::grad_input:
      run_grad_input(run);
      break;
    case Op::grad_weight:
      run_grad_weight(run);
      break;
  }
  if (target.recorder() == nullptr) pass.map->record_use(target);
}

}  // namespace flexgemm::detail
