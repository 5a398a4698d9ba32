#pragma once

#include <vector>

#include "architectures/family.hpp"

namespace flexgemm::codegen {

/// Shapes of grad_weight kernels for a problem: tiles that fit Co along the rows and, along the columns, Ci
/// channels of as many kernel offsets as a tile holds. May hold shapes that are rejected later.
std::vector<TileShape> gradient_shapes(const GemmProblem& problem);

/// Puts the candidate first that is expected to be fastest, from the arithmetic that its tiles execute and
/// the rows that they gather.
void sort_gradient_candidates(const GemmProblem& problem, std::vector<KernelSpec>& specs);

/// Parts that the pairs should be cut into: blocks enough to even out their work, until the partial sums cost
/// more than that is worth. 1 to 64.
int gradient_splits(const GemmProblem& problem, const KernelSpec& spec);

}  // namespace flexgemm::codegen
