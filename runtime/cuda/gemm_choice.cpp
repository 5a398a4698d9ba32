#include <algorithm>
#include <cstdint>
#include <utility>

#include "core/fail.hpp"
#include "cuda/pass_run.hpp"

namespace flexgemm::detail {

namespace {

/// Of the output and of the residual, which is read in the same vectors.
int output_alignment(const GemmPass& pass) {
  return std::min(alignment_of(pass.output), alignment_of(pass.epilogue.residual));
}

codegen::BiasType bias_type(const GemmPass& pass) {
  if (pass.bias == nullptr) return codegen::BiasType::none;
  // A float bias of a float convolution is both; one name for it keeps one kernel.
  return pass.bias_dtype == DType::f32 ? codegen::BiasType::f32 : codegen::BiasType::storage;
}

/// The operand whose rows are gathered, and the one that they meet.
const void* first_operand(const GemmPass& pass) {
  return pass.op == Op::grad_input ? pass.grad_out : pass.feats;
}
const void* second_operand(const GemmPass& pass) {
  return pass.op == Op::grad_weight ? pass.grad_out : pass.weight;
}

}  // namespace

int alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  int alignment = 16;
  while (address % static_cast<std::uintptr_t>(alignment) != 0) alignment /= 2;
  return alignment;
}

TargetDevice target_of(const CudaDevice& device) {
  return {.architecture = architecture_of(device.properties()),
          .multiprocessors = device.properties().multiprocessors};
}

PassShape shape_of(const GemmPass& pass) {
  return {.op = pass.op,
          .in_channels = pass.conv->in_channels,
          .out_channels = pass.conv->out_channels,
          .volume = pass.map->volume(),
          .dtype = pass.conv->dtype,
          .algorithm = pass.conv->algorithm,
          .rows = pass.map->rows,
          .pairs = pass.map->expected_pairs(),
          .first_alignment = alignment_of(first_operand(pass)),
          .second_alignment = alignment_of(second_operand(pass)),
          .output_alignment = output_alignment(pass),
          .bias = bias_type(pass),
          .output_dtype = pass.output_dtype,
          .epilogue = pass.epilogue.epilogue == nullptr ? std::string() : pass.epilogue.epilogue->text,
          .resident = pass.map->serves_resident_layouts()};
}

}  // namespace flexgemm::detail
