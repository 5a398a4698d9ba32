#pragma once

#include "cpu/algorithm_plan.hpp"
#include "cpu/cpu_device.hpp"
#include "cpu/weight_problem.hpp"

namespace flexgemm::detail {

/// Computes grad_weight by the implicit algorithms of the plan: masked, the pairs of an offset are compacted
/// and an absent neighbor costs nothing; otherwise it takes part as a row of zeros. Split, ranges of rows are
/// summed apart and added in order.
void run_grad_weight(CpuDevice& device, const WeightProblem& problem, const WeightPlan& plan);

}  // namespace flexgemm::detail
