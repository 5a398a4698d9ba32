#pragma once

#include <vector>

#include "candidates.hpp"

namespace flexgemm::codegen {

/// Specs of resident_grad_weight worth trying for a problem whose map serves resident layouts; `base` has the
/// problem's types and vectors. May hold specs that are rejected later.
std::vector<KernelSpec> resident_gradient_specs(const GemmProblem& problem, const KernelSpec& base);

/// Expected time of the products of all offsets, without the reduction of the parts.
double resident_gradient_nanoseconds(const GemmProblem& problem, const KernelSpec& spec);

}  // namespace flexgemm::codegen
