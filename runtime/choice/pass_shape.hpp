#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include <flexgemm/conv3d.hpp>

#include "codegen/candidates.hpp"

// What kernels are chosen by, in numbers: no pointer, no device, no CUDA header. What is decided here can be
// asked on any machine: by the backend before a launch, by the tuner, and by a build farm that compiles for
// GPUs elsewhere.

namespace flexgemm::detail {

/// What a kernel choice may depend on of the GPU.
struct TargetDevice {
  codegen::Architecture architecture;
  int multiprocessors = 0;
};

/// What a kernel choice may depend on of a pass: its layer, the map's counts, and how its tensors lie.
struct PassShape {
  Op op = Op::forward;
  std::int64_t in_channels = 1;
  std::int64_t out_channels = 1;
  int volume = 1;
  DType dtype = DType::f32;
  Algorithm algorithm = Algorithm::automatic;  ///< the pinned one, or automatic
  std::int64_t rows = 0;
  std::int64_t pairs = 0;
  /// Largest power of two, at most 16, that divides a pointer: of the operand whose rows are gathered, of the
  /// one that they meet, and of the result (and the residual, which is read like it).
  int first_alignment = 16;
  int second_alignment = 16;
  int output_alignment = 16;
  codegen::BiasType bias = codegen::BiasType::none;
  DType output_dtype = DType::f32;  ///< of grad_weight: f32 or the storage type
  std::string epilogue{};           ///< of forward, as in KernelSpec
  bool resident = false;            ///< whether the map serves resident layouts

  friend auto operator<=>(const PassShape&, const PassShape&) = default;
};

/// How a pass is computed: never `automatic`.
struct GemmChoice {
  Algorithm algorithm = Algorithm::masked_implicit_gemm;
  codegen::KernelSpec spec;  ///< the kernel that forms the products
  int splits = 1;            ///< parts of the reduction: more than 1 only if spec.output is partial
  /// Groups of offsets, each with a row order of its own (cuda/row_order.hpp): more than 1 only for
  /// persistent_gemm with chained output, or with partial output, where there is a part a group: equal to
  /// `splits`. At most codegen::most_groups.
  int groups = 1;
};

/// The problem that a pass poses to codegen under one algorithm: for explicit_gemm the dense GEMM of a chunk
/// of rows.
codegen::GemmProblem gemm_problem(const TargetDevice& device, const PassShape& pass, Algorithm algorithm);

/// What the kernel of a pass writes under one algorithm: float sums or the storage type.
codegen::OutputType output_type(const PassShape& pass, Algorithm algorithm);

/// Whether what the kernel of a choice writes is not the result yet: split, or a weight gradient in 16 bits
/// that is summed in float first.
bool needs_reduction(const PassShape& pass, const GemmChoice& choice);

/// The kernel that a pass runs when nothing has been tuned: the cost model's first among the likely choices
/// (priced_choices.hpp); for grad_weight masked_implicit_gemm, split as far as pays. Counts are rounded
/// (with_rounded_counts). The pinned algorithm is obeyed. Throws Error{unsupported}.
GemmChoice choose_gemm(const TargetDevice& device, const PassShape& pass);

/// The kernel that adds the partial sums of grad_weight, converts, and adds to what the gradient holds.
codegen::KernelSpec reduce_gradient_spec(const TargetDevice& device, const PassShape& pass,
                                         const GemmChoice& choice);
/// The kernel that adds the partial sums of a split reduction of the other ops.
codegen::KernelSpec reduce_spec(const TargetDevice& device, const PassShape& pass);
/// The kernel that gathers rows for explicit_gemm.
codegen::KernelSpec gather_spec(const TargetDevice& device, const PassShape& pass);
/// The kernel that transposes the weights for grad_input.
codegen::KernelSpec transpose_spec(const TargetDevice& device, const PassShape& pass);

/// Every kernel that a pass of this choice asks for, the product's first. A new step of a pass has its kernel
/// here too: packs compiled without a GPU hold what this names. Throws Error{unsupported}.
std::vector<codegen::KernelSpec> kernels_of(const TargetDevice& device, const PassShape& pass,
                                            const GemmChoice& choice);

}  // namespace flexgemm::detail
