#pragma once

#include "cpu/gather_problem.hpp"
#include "cpu/kernels.hpp"

namespace flexgemm::detail {

/// Turns the sums of the channels [first_column, first_column + columns) of an output row into results and
/// stores them: bias or epilogue, then conversion. `bias` has all channels, zeros without a bias. Overwrites
/// `sums`. Thread-safe.
void finish_row(const Kernels& kernels, const GatherProblem& problem, const float* bias, std::int64_t row,
                std::int64_t first_column, std::int64_t columns, float* sums);

}  // namespace flexgemm::detail
