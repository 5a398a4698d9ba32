#pragma once

#include "cpu/algorithm_plan.hpp"
#include "cpu/cpu_device.hpp"
#include "cpu/gather_problem.hpp"

namespace flexgemm::detail {

/// Computes the output by the implicit algorithms of the plan: tiles of output rows gather their input rows
/// inside the matrix product.
void run_gather_gemm(CpuDevice& device, const GatherProblem& problem, const GatherPlan& plan);

}  // namespace flexgemm::detail
