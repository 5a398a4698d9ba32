#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel_spec.hpp"

namespace flexgemm::codegen {

/// What must be computed: everything a kernel choice may depend on, before any kernel is chosen.
struct GemmProblem {
  Architecture architecture;
  ElementType compute = ElementType::f32;
  int in_channels = 1;
  int out_channels = 1;
  int volume = 1;
  std::int64_t rows = 0;
  double pairs_per_row = 0;  ///< 0: unknown
  int multiprocessors = 132;
  int feats_alignment = 16;  ///< largest power of two, at most 16, that divides the pointer
  int weight_alignment = 16;
  int output_alignment = 16;
  BiasType bias = BiasType::none;
  std::string epilogue{};  ///< as in KernelSpec; `output_alignment` covers the residual's pointer, if any
};

/// Every implicit_gemm spec worth trying for the problem on its architecture, valid ones only, best guess
/// first. `output` says whether finished rows or partials are wanted.
std::vector<KernelSpec> gemm_candidates(const GemmProblem& problem, OutputType output);

/// The first guess, from a pure rule per architecture family: what runs when nothing has been tuned.
KernelSpec default_gemm(const GemmProblem& problem, OutputType output);

/// Parts that a split reduction should be cut into for `spec`: enough to fill the device, at least 2, at
/// most 16.
int default_splits(const GemmProblem& problem, const KernelSpec& spec);

KernelSpec gather_rows_spec(const GemmProblem& problem);
KernelSpec reduce_partials_spec(const GemmProblem& problem);

}  // namespace flexgemm::codegen
