#include "cpu/algorithm_plan.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "cpu/storage.hpp"

namespace flexgemm::detail {

namespace {

/// Floats of a gathered chunk of explicit_gemm: 64 MiB.
constexpr std::int64_t chunk_floats = std::int64_t{1} << 24;
/// Floats of a task's sums in grad_weight: 192 KiB, to stay in the L2 cache.
constexpr std::int64_t sum_floats = 48 * 1024;

std::int64_t explicit_chunk_rows(const ProblemShape& shape) noexcept {
  const std::int64_t fitting = chunk_floats / (shape.volume * shape.in_channels);
  return std::clamp<std::int64_t>(fitting, 16, 16384);
}

/// Offsets a task such that the tasks are about equal.
std::int64_t even_share(std::int64_t volume, std::int64_t at_most) noexcept {
  return divide_up(volume, divide_up(volume, at_most));
}

std::int64_t weight_tasks(const WeightPlan& plan, const ProblemShape& shape) noexcept {
  const std::int64_t across = plan.in_channels_across ? shape.in_channels : shape.out_channels;
  const std::int64_t along = plan.in_channels_across ? shape.out_channels : shape.in_channels;
  return divide_up(shape.volume, plan.offsets_a_task) * divide_up(across, plan.across_block) *
         divide_up(along, plan.along_block);
}

}  // namespace

GatherPlan plan_gather(const Kernels& kernels, const ProblemShape& shape, Algorithm pinned) noexcept {
  GatherPlan plan;
  plan.algorithm = pinned;
  plan.tile_columns = std::min<std::int64_t>(round_up(shape.out_channels, kernels.panel_width), 256);
  const std::int64_t column_blocks = divide_up(shape.out_channels, plan.tile_columns);
  if (pinned == Algorithm::explicit_gemm) {
    plan.tile_rows = explicit_chunk_rows(shape);
    return plan;
  }
  // A tile's sums take up to 128 KiB: more rows use a weight panel better, fewer leave the cache to it.
  plan.tile_rows = 512;
  while (plan.tile_rows > 64 && plan.tile_rows * plan.tile_columns > 32 * 1024) plan.tile_rows /= 2;
  while (plan.tile_rows > 32 && divide_up(shape.rows, plan.tile_rows) * column_blocks < 4 * enough_tasks)
    plan.tile_rows /= 2;
  const std::int64_t tasks = divide_up(shape.rows, plan.tile_rows) * column_blocks;
  const std::int64_t reduction_steps = shape.volume * divide_up(shape.in_channels, k_block);
  if (pinned == Algorithm::automatic) {
    plan.algorithm = tasks >= enough_tasks || reduction_steps == 1 ? Algorithm::masked_implicit_gemm
                                                                   : Algorithm::masked_implicit_gemm_splitk;
  }
  if (is_split(plan.algorithm)) {
    const std::int64_t wanted = divide_up(enough_tasks, std::max<std::int64_t>(tasks, 1));
    plan.parts = std::min(std::max<std::int64_t>(wanted, 2), reduction_steps);
  }
  return plan;
}

WeightPlan plan_weight(const Kernels& kernels, const ProblemShape& shape, Algorithm pinned) noexcept {
  WeightPlan plan;
  plan.algorithm = pinned;
  plan.chunk_rows = explicit_chunk_rows(shape);
  const std::int64_t width = kernels.panel_width;
  plan.in_channels_across = round_up(shape.in_channels, width) * shape.out_channels <=
                            round_up(shape.out_channels, width) * shape.in_channels;
  const std::int64_t across = plan.in_channels_across ? shape.in_channels : shape.out_channels;
  const std::int64_t along = plan.in_channels_across ? shape.out_channels : shape.in_channels;
  plan.across_block = std::min<std::int64_t>(round_up(across, width), 128);
  plan.along_block = std::min<std::int64_t>(along, 128);
  const std::int64_t fitting = std::max<std::int64_t>(1, sum_floats / (plan.across_block * plan.along_block));
  plan.offsets_a_task = even_share(shape.volume, std::min<std::int64_t>(fitting, shape.volume));
  const std::int64_t tasks = weight_tasks(plan, shape);
  const std::int64_t most_parts = std::max<std::int64_t>(1, divide_up(shape.rows, 1024));
  if (pinned == Algorithm::automatic) {
    plan.algorithm = tasks >= enough_tasks || most_parts == 1 ? Algorithm::masked_implicit_gemm
                                                              : Algorithm::masked_implicit_gemm_splitk;
  }
  if (is_split(plan.algorithm)) {
    plan.parts = std::min(std::max<std::int64_t>(divide_up(enough_tasks, tasks), 2), most_parts);
  } else {
    while (plan.offsets_a_task > 1 && weight_tasks(plan, shape) < enough_tasks)
      plan.offsets_a_task = even_share(shape.volume, plan.offsets_a_task - 1);
  }
  return plan;
}

std::string kernel_name(const GatherPlan& plan, DType dtype) {
  const std::string parts = plan.parts > 1 ? fmt::format(".s{}", plan.parts) : "";
  return fmt::format("cpu.{}.{}.t{}{}", name(plan.algorithm), name(dtype), plan.tile_rows, parts);
}

std::string kernel_name(const WeightPlan& plan, DType dtype) {
  if (plan.algorithm == Algorithm::explicit_gemm)
    return fmt::format("cpu.{}.{}.t{}", name(plan.algorithm), name(dtype), plan.chunk_rows);
  const std::string parts = plan.parts > 1 ? fmt::format(".s{}", plan.parts) : "";
  return fmt::format("cpu.{}.{}.v{}x{}x{}{}", name(plan.algorithm), name(dtype), plan.offsets_a_task,
                     plan.along_block, plan.across_block, parts);
}

}  // namespace flexgemm::detail
