#pragma once

#include "cpu/algorithm_plan.hpp"
#include "cpu/cpu_device.hpp"
#include "cpu/gather_problem.hpp"
#include "cpu/weight_problem.hpp"

namespace flexgemm::detail {

/// explicit_gemm: chunks of rows are gathered to [rows, V * channels] in memory, zeros for absent neighbors,
/// and meet the weights in one dense matrix product.
void run_explicit_gemm(CpuDevice& device, const GatherProblem& problem, const GatherPlan& plan);
void run_explicit_grad_weight(CpuDevice& device, const WeightProblem& problem, const WeightPlan& plan);

}  // namespace flexgemm::detail
