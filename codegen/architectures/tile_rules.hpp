#pragma once

#include <span>
#include <vector>

#include "family.hpp"

namespace flexgemm::codegen {

/// A tile and the warps that share it: what a family chooses first.
struct BlockTile {
  int row_tile;
  int column_tile;
  int warps_m;
  int warps_n;
  int min_blocks;  ///< blocks a multiprocessor that registers are asked for
  MmaPath mma = MmaPath::mma_sync;
};

/// How deep its K tiles are prefetched.
struct Pipeline {
  int k_bytes;
  int stages;
};

/// Whether a problem's products are formed by the matrix unit.
bool has_matrix_path(const GemmProblem& problem) noexcept;

/// Whether a tile of so many columns fits Co: not wider than Co rounded up to the next power of two (16 at
/// least), and not under half of that (a quarter if that is more than 64).
bool columns_fit(int column_tile, int out_channels) noexcept;

/// Those of the tiles whose columns fit Co.
std::vector<BlockTile> fitting_tiles(std::span<const BlockTile> tiles, int out_channels);

/// Every tile with the first pipeline, then every tile with the second, and so on. K tiles of 128 bytes are
/// left out where the whole reduction fits in half of one and where loads are of single 2-byte elements.
std::vector<TileShape> combine(std::span<const BlockTile> tiles, std::span<const Pipeline> pipelines,
                               const GemmProblem& problem);

/// Shapes of the mma.sync path with cp.async: light blocks, several a multiprocessor, up to 64 output
/// channels; wide ones beyond. The order within each list is that of their times on an H200
/// (docs/performance.md).
std::vector<TileShape> mma_sync_shapes(const GemmProblem& problem, std::span<const Pipeline> pipelines);

/// Shapes of the FFMA path, the same on every architecture: float multiply-adds bound it, so small blocks of
/// 32 accumulators a thread reach its rate and leave little padding.
std::vector<TileShape> ffma_shapes(const GemmProblem& problem);

}  // namespace flexgemm::codegen
