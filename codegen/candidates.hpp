#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel_spec.hpp"

namespace flexgemm::codegen {

/// What must be computed: everything a kernel choice may depend on, before any kernel is chosen.
/// A problem of grad_weight is stated in the terms of its layer: `weight_alignment` is that of grad_out.
struct GemmProblem {
  KernelKind kind = KernelKind::implicit_gemm;  ///< or grad_weight
  Architecture architecture;
  ElementType compute = ElementType::f32;
  int in_channels = 1;
  int out_channels = 1;
  int volume = 1;
  std::int64_t rows = 0;
  double pairs_per_row = 0;  ///< 0: unknown
  int multiprocessors = 132;
  /// Whether the map serves resident layouts: only then are there candidates of the resident kinds.
  bool resident = false;
  int feats_alignment = 16;  ///< largest power of two, at most 16, that divides the pointer
  int weight_alignment = 16;
  /// Of grad_input, whose weights are transposed to the problem's [N, V, K] for all kernels but those that
  /// read them as the caller gives them: alignment of the given weights, [K, V, N]. Else 0.
  int given_weight_alignment = 0;
  int output_alignment = 16;
  BiasType bias = BiasType::none;
  /// Whether kernels are wanted, too, that are never the fastest and not offered otherwise: for tests.
  bool unoffered = false;
  std::string epilogue{};  ///< as in KernelSpec; `output_alignment` covers the residual's pointer, if any
};

/// Every spec of the problem's kind worth trying for the problem on its architecture, valid ones only, best
/// guess first. `output` says whether finished results in the storage type or float sums are wanted.
std::vector<KernelSpec> gemm_candidates(const GemmProblem& problem, OutputType output);

/// The first guess, from a pure rule per architecture family: what runs when nothing has been tuned.
KernelSpec default_gemm(const GemmProblem& problem, OutputType output);

/// Groups that persistent_gemm's offsets may be cut into, each with a row order and, in partial output, sums
/// of its own: at most one an offset; 1 if the kernel has more than 32 offsets, for which rows have no masks.
int most_groups(int volume) noexcept;

/// Groups of offsets that pay for a masked pass by `spec`, a persistent_gemm with finished output, which then
/// chains them: three for wide layers of few rows, whose tiles one order of rows leaves half empty; else 1.
int default_groups(const GemmProblem& problem, const KernelSpec& spec);

/// Parts that a split reduction should be cut into for `spec`: enough to fill the device, at least 2, at
/// most 16. For grad_weight the parts of an average group of offsets, 1 to 512: 1 where splitting does not
/// pay. For persistent_gemm groups of offsets, at most most_groups.
int default_splits(const GemmProblem& problem, const KernelSpec& spec);

/// Shares into which a split grad_weight kernel's pairs are cut: `splits` times the groups of offsets, at
/// most as many as one round of blocks over the multiprocessors holds. For resident_grad_weight the parts of
/// all groups together: not more than whole rounds of blocks, at least one a group.
int gradient_shares(const KernelSpec& spec, int splits, int multiprocessors);

KernelSpec gather_rows_spec(const GemmProblem& problem);
KernelSpec reduce_partials_spec(const GemmProblem& problem);
/// Reduction of a grad_weight kernel with groups of `offsets`; `output` says what it writes.
KernelSpec reduce_gradient_spec(const GemmProblem& problem, int offsets, OutputType output);
/// Transposes the weights of the layer whose grad_input is `problem`: in its terms [Ci, V, Co] to
/// [Co, V, Ci]. The weights' own alignment is `weight_alignment`; the result lies in the library's memory.
KernelSpec transpose_weights_spec(const GemmProblem& problem, int weight_alignment);

}  // namespace flexgemm::codegen
