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

/// Expected time of a kernel with the reduction of its parts: what candidates and splits are compared by.
double gradient_nanoseconds(const GemmProblem& problem, const KernelSpec& spec, int splits);

/// Whether so many parts leave each enough pairs, and the partial sums within bounds.
bool gradient_splits_suit(const GemmProblem& problem, const KernelSpec& spec, int splits);
inline constexpr int most_gradient_splits = 512;

/// Parts that the pairs of an average group should be cut into: blocks enough to even out their work, until
/// the partial sums cost more than that is worth.
int gradient_splits(const GemmProblem& problem, const KernelSpec& spec);

}  // namespace flexgemm::codegen
