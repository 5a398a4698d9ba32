#pragma once

#include <cstdint>
#include <string>

#include <flexgemm/conv3d.hpp>

#include "cpu/kernels.hpp"

namespace flexgemm::detail {

/// Channels of an input row that one pass of the inner loop reduces; a panel of them stays in the L1 cache.
inline constexpr std::int64_t k_block = 256;
/// Independent pieces of work that keep the processors of any machine this is meant for busy enough. A
/// constant, because the cut of the work (and so the order of sums) must not depend on the number of threads.
inline constexpr std::int64_t enough_tasks = 16;

constexpr bool is_split(Algorithm algorithm) noexcept {
  return algorithm == Algorithm::implicit_gemm_splitk || algorithm == Algorithm::masked_implicit_gemm_splitk;
}
constexpr bool is_masked(Algorithm algorithm) noexcept {
  return algorithm == Algorithm::masked_implicit_gemm || algorithm == Algorithm::masked_implicit_gemm_splitk;
}

/// How forward or grad_input is cut into tiles.
struct GatherPlan {
  Algorithm algorithm = Algorithm::automatic;
  std::int64_t tile_rows = 0;     ///< output rows of a tile (of a chunk for explicit_gemm)
  std::int64_t tile_columns = 0;  ///< output columns of a tile, a multiple of the panel width
  std::int64_t parts = 1;         ///< parts of the reduction (offsets times blocks of k_block channels)
};

/// How grad_weight is cut: a task owns some offsets and a block of channels on either side, over a range of
/// rows.
struct WeightPlan {
  Algorithm algorithm = Algorithm::automatic;
  bool in_channels_across = true;   ///< vectors run over Ci (else Co), broadcasts over the other
  std::int64_t across_block = 0;    ///< channels of a block on the vector side, a multiple of the panel width
  std::int64_t along_block = 0;     ///< channels of a block on the broadcast side
  std::int64_t offsets_a_task = 0;  ///< offsets that share one reading of the map
  std::int64_t parts = 1;           ///< ranges of rows, added in order
  std::int64_t chunk_rows = 0;      ///< explicit_gemm only: rows gathered at a time
};

/// What a problem is, as far as plans depend on it.
struct ProblemShape {
  std::int64_t rows;
  int volume;
  std::int64_t in_channels;
  std::int64_t out_channels;
};

/// For grad_input `shape` has the channels swapped, as in GatherProblem.
GatherPlan plan_gather(const Kernels& kernels, const ProblemShape& shape, Algorithm pinned) noexcept;
WeightPlan plan_weight(const Kernels& kernels, const ProblemShape& shape, Algorithm pinned) noexcept;

/// Stable names such as "cpu.masked_implicit_gemm.f32.t128" and
/// "cpu.masked_implicit_gemm_splitk.f16.t128.s4".
std::string kernel_name(const GatherPlan& plan, DType dtype);
std::string kernel_name(const WeightPlan& plan, DType dtype);

}  // namespace flexgemm::detail
