#pragma once

#include <vector>

#include "codegen/candidates.hpp"

/// Kernels that compile in a moment and differ: the first has `channels` input channels, the n-th n times as
/// many.
inline std::vector<flexgemm::codegen::KernelSpec> small_kernels(int count, int channels = 16) {
  std::vector<flexgemm::codegen::KernelSpec> specs;
  for (int i = 0; i < count; ++i) {
    flexgemm::codegen::GemmProblem problem;
    problem.architecture = flexgemm::codegen::parse_architecture("sm_80");
    problem.compute = flexgemm::codegen::ElementType::f16;
    problem.in_channels = channels * (i + 1);
    problem.volume = 27;
    specs.push_back(flexgemm::codegen::gather_rows_spec(problem));
  }
  return specs;
}
