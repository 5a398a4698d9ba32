#pragma once

#include <cstdint>

#include "choice/pass_shape.hpp"
#include "core/backend.hpp"
#include "cuda/cuda_map.hpp"
#include "cuda/kernel_cache.hpp"

namespace flexgemm::detail {

/// One op of one layer on one map, with its operands and its result: what kernels are chosen for, tuned for,
/// and run on. Tensors that an op does not have are null. For a question about a choice all of them may be:
/// null counts as aligned to 16 bytes.
struct GemmPass {
  Op op = Op::forward;
  const Conv3dOptions* conv = nullptr;
  const CudaMap* map = nullptr;
  const void* feats = nullptr;   ///< forward, grad_weight: [N, Ci]
  const void* weight = nullptr;  ///< forward, grad_input: [Co, V, Ci]
  /// grad_input: what Conv3d::transpose_weight made of `weight`, aligned to 16 bytes; null: not given.
  const void* transposed_weight = nullptr;
  const void* grad_out = nullptr;  ///< grad_input, grad_weight: [N, Co]
  const void* bias = nullptr;      ///< forward: [Co]; null: none
  DType bias_dtype = DType::f32;
  void* output = nullptr;           ///< forward [N, Co], grad_input [N, Ci], grad_weight [Co, V, Ci]
  DType output_dtype = DType::f32;  ///< of grad_weight: f32 or the storage type
  bool accumulate = false;          ///< grad_weight: add to what output holds
  EpilogueArguments epilogue{};     ///< forward
};

/// The map as the CUDA backend made it.
const CudaMap& cuda_map(const MapData& map);

GemmPass forward_pass(const ForwardArguments& arguments);
GemmPass grad_input_pass(const BackwardArguments& arguments);
GemmPass grad_weight_pass(const BackwardArguments& arguments);
/// The pass with no tensors: what `choice` is asked about.
GemmPass pass_without_tensors(const Conv3dOptions& conv, const CudaMap& map, Op op);

/// Bytes that explicit_gemm's gathered operand may take: the gather and the GEMM run over chunks of rows.
inline constexpr std::int64_t explicit_workspace_bytes = 256ll << 20;

/// Largest power of two, at most 16, that divides the address; of null 16.
int alignment_of(const void* pointer);

/// What choices depend on: of the device, and of a pass on it.
TargetDevice target_of(const CudaDevice& device);
PassShape shape_of(const GemmPass& pass);

/// Enqueues a pass by the given choice with all its steps: gathers, transposes, GEMM, reduction. What the
/// backend, the tuner, tests and benchmarks run. `choice.spec` must be made for gemm_problem() of its shape.
/// The device's context must be current. Workspace comes from the device's memory in stream order. With a
/// recording as the target, the pass is written down, and what the map lacks for it is built on the stream.
void run_pass(KernelCache& kernels, const GemmPass& pass, const GemmChoice& choice,
              const LaunchTarget& target);

}  // namespace flexgemm::detail
