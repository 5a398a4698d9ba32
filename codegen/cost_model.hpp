#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "candidates.hpp"

namespace flexgemm::codegen {

/// What a pass's row tiles visit.
enum class RowWalk : std::uint8_t {
  dense,     ///< natural row order, every offset
  masked,    ///< rows in mask order, the offsets that one of the tile's rows has
  gathered,  ///< neighbors are gathered to [rows, V * Ci] first, then one dense GEMM (explicit_gemm)
};

/// Facts about a neighbor map that times depend on.
struct MapStatistics {
  static constexpr std::array heights{16, 32, 64, 128, 256};

  std::int64_t rows = 0;
  std::int64_t pairs = 0;  ///< valid (row, offset); 0: unknown, then V of every row
  int volume = 1;
  /// Offsets that row tiles of these heights visit in mask order, summed over the tiles; 0: not counted.
  std::array<std::int64_t, 5> steps{};
};

/// Offsets that all row tiles of one height visit in mask order: counted if the statistics have it, else
/// between the nearest heights that they have, else estimated from rows and pairs.
double masked_steps(const MapStatistics& map, int row_tile);

/// One way to compute a pass.
struct PassPlan {
  RowWalk walk = RowWalk::masked;
  KernelSpec spec;  ///< for RowWalk::gathered of the dense GEMM: V = 1
  int splits = 1;   ///< parts of the reduction
};

/// What one architecture's times are made of, beside the counts of work: rates of one multiprocessor and
/// latencies. `codegen/cost_constants.cpp` has them, and where they come from.
struct CostConstants {
  double matrix_flops_per_ns = 0;  ///< wgmma or mma.sync on f16 and bf16; half of it on tf32
  double mma_sync_share = 1;       ///< of that rate which mma.sync reaches where there is wgmma
  double ffma_flops_per_ns = 0;
  double l2_bytes_per_ns = 0;    ///< into one multiprocessor while all read
  double copy_issue_ns = 0;      ///< one warp's copy instruction to shared memory, on one multiprocessor
  double fragment_issue_ns = 0;  ///< mma.sync and FFMA: one warp's load of 512 bytes of operands
  double k_tile_ns = 0;          ///< latency of a K tile that nothing else on the multiprocessor covers
  double warp_hiding =
      1;                 ///< what resident warps and tiles under way take off it: their product to this power
  double block_ns = 0;   ///< start and end of a block
  double result_ns = 0;  ///< to finish and store 1024 results of a block
  double tail_blocks = 0;  ///< blocks a multiprocessor that the uneven end costs
  double overlap = 2;      ///< exponent that joins the limits: 1 adds them, infinity takes the largest
  double memory_bytes_per_ns = 0;  ///< of the device, read and written together
  double cached_bytes_per_ns = 0;  ///< the same for what stays in L2
  double cache_bytes = 0;          ///< L2
  double launch_ns = 0;            ///< from one kernel's end to the next one's first block
};
const CostConstants& cost_constants(const Architecture& architecture);

/// Predicted time of a pass in milliseconds: a pure function. `problem` is the pass's own (for
/// RowWalk::gathered, too: not that of its dense GEMM).
double predicted_ms(const GemmProblem& problem, const MapStatistics& map, const PassPlan& plan);
double predicted_ms(const GemmProblem& problem, const MapStatistics& map, const PassPlan& plan,
                    const CostConstants& constants);

}  // namespace flexgemm::codegen
