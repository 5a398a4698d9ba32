#include <algorithm>

#include "../resources.hpp"
#include "tile_rules.hpp"

// Hopper: wgmma from shared memory where rows come in vectors of at least 4 bytes, mma.sync otherwise. The
// order of the tiles is that of their times on an H200 (docs/performance.md).

namespace flexgemm::codegen {

namespace {

constexpr ArchitectureLimits members[] = {
    {90, 227, 228, 1, 2048},
};

/// Rows of 128 bytes, one or two warpgroups. Several blocks a multiprocessor hide each other's latency; from
/// 256 columns on one block's products cover its own loads.
constexpr TileShape wgmma_shapes[] = {
    {128, 256, 8, 1, 1, 128, 4, MmaPath::wgmma}, {128, 128, 8, 1, 2, 128, 3, MmaPath::wgmma},
    {64, 128, 4, 1, 3, 128, 3, MmaPath::wgmma},  {128, 128, 8, 1, 1, 128, 4, MmaPath::wgmma},
    {64, 256, 4, 1, 1, 128, 4, MmaPath::wgmma},  {64, 64, 4, 1, 4, 128, 3, MmaPath::wgmma},
    {128, 64, 8, 1, 2, 128, 4, MmaPath::wgmma},  {128, 64, 4, 1, 2, 128, 4, MmaPath::wgmma},
    {128, 64, 4, 1, 3, 128, 3, MmaPath::wgmma},  {128, 32, 4, 1, 3, 128, 3, MmaPath::wgmma},
    {64, 32, 4, 1, 5, 128, 3, MmaPath::wgmma},   {64, 16, 4, 1, 6, 128, 3, MmaPath::wgmma},
    {128, 16, 4, 1, 3, 128, 4, MmaPath::wgmma},
};

/// Rows of 128 bytes, specialized warpgroups. One block a multiprocessor keeps it busy where columns are
/// many, two where they are few. Tiles of 256 rows were never the fastest, here or above.
constexpr TileShape persistent_shapes[] = {
    {128, 256, 8, 1, 1, 128, 4, MmaPath::wgmma, 1, KernelKind::persistent_gemm},
    {192, 128, 12, 1, 1, 128, 4, MmaPath::wgmma, 1, KernelKind::persistent_gemm},
    {128, 64, 8, 1, 2, 128, 4, MmaPath::wgmma, 1, KernelKind::persistent_gemm},
    {128, 64, 8, 1, 2, 128, 3, MmaPath::wgmma, 1, KernelKind::persistent_gemm},
};

/// Pairs of blocks that share weights: twice as slow (docs/performance.md), for tests alone.
constexpr TileShape clustered_shapes[] = {
    {256, 256, 8, 1, 1, 128, 4, MmaPath::wgmma, 1, KernelKind::persistent_gemm, 2},
    {256, 128, 8, 1, 1, 128, 6, MmaPath::wgmma, 1, KernelKind::persistent_gemm, 2},
};

/// Blocks of the resident layout for narrow layers: two or more blocks a multiprocessor, so that one copies
/// its inputs while another multiplies. One of 512 slots is slower. The columns are all output channels.
constexpr TileShape resident_shapes[] = {
    {256, 0, 8, 1, 2, 128, 4, MmaPath::wgmma, 1, KernelKind::resident_gemm},
    {256, 0, 8, 1, 2, 128, 3, MmaPath::wgmma, 1, KernelKind::resident_gemm},
    {128, 0, 4, 1, 4, 128, 4, MmaPath::wgmma, 1, KernelKind::resident_gemm},
};

/// wgmma truncates floats to tf32 where mma.sync's operands are rounded: an error of up to 1e-3 a product,
/// less in sums of many. Few channels make short sums, and gain nothing from wgmma.
bool suits_wgmma(const GemmProblem& problem) {
  constexpr int fewest_tf32_channels = 32;
  return problem.architecture.has_wgmma(problem.compute) &&
         (problem.compute != ElementType::tf32 || problem.in_channels >= fewest_tf32_channels);
}

/// Whether persistent_gemm's whole K tiles and its copy engine suit the channels.
bool suits_persistent(const GemmProblem& problem) {
  const int k_tile = 128 / storage_bytes(problem.compute);
  return suits_wgmma(problem) && problem.in_channels >= k_tile && problem.out_channels > 32;
}

/// Rows of 64 elements of 16 bits or fewer: longer ones leave shared memory too little room for a block's
/// inputs (docs/performance.md).
bool suits_resident(const GemmProblem& problem) {
  constexpr int most_channels = 64;
  return problem.resident && suits_wgmma(problem) && storage_bytes(problem.compute) == 2 &&
         problem.in_channels <= most_channels && problem.out_channels <= most_channels;
}

/// So few rows that the widest tiles would leave half of the device idle: narrower ones split the work finer.
bool is_small(const GemmProblem& problem) {
  const std::int64_t widest_tiles = (problem.rows + 127) / 128 * ((problem.out_channels + 255) / 256);
  return problem.rows > 0 && widest_tiles * 2 < problem.multiprocessors;
}

std::vector<TileShape> tile_shapes(const GemmProblem& problem) {
  if (!has_matrix_path(problem)) return ffma_shapes(problem);
  std::vector<TileShape> shapes;
  if (suits_wgmma(problem)) {
    for (const TileShape& shape : wgmma_shapes) {
      if (columns_fit(shape.column_tile, problem.out_channels)) shapes.push_back(shape);
    }
  }
  if (is_small(problem)) {
    std::stable_partition(shapes.begin(), shapes.end(), [](const TileShape& shape) {
      return shape.row_tile == 128 && shape.column_tile == 128 && shape.stages == 4;
    });
  }
  static constexpr Pipeline narrow_pipelines[] = {{64, 4}, {128, 3}};
  static constexpr Pipeline wide_pipelines[] = {{128, 3}, {64, 4}};
  const std::vector<TileShape> mma_sync =
      mma_sync_shapes(problem, problem.out_channels <= 64 ? narrow_pipelines : wide_pipelines);
  // From 17 to 32 columns mma.sync with short K tiles is ahead of wgmma, which only has long ones.
  const bool mma_sync_first = problem.out_channels > 16 && problem.out_channels <= 32;
  shapes.insert(mma_sync_first ? shapes.begin() : shapes.end(), mma_sync.begin(), mma_sync.end());
  if (suits_resident(problem)) {
    for (TileShape shape : resident_shapes) {
      shape.column_tile = *std::find_if(std::begin(wgmma_widths), std::end(wgmma_widths),
                                        [&](int width) { return width >= problem.out_channels; });
      shapes.push_back(shape);
    }
  }
  if (suits_persistent(problem)) {
    std::vector<TileShape> persistent;
    const auto add = [&](const TileShape& shape) {
      if (columns_fit(shape.column_tile, problem.out_channels)) persistent.push_back(shape);
    };
    for (const TileShape& shape : persistent_shapes) add(shape);
    if (problem.unoffered) {
      for (const TileShape& shape : clustered_shapes) add(shape);
    }
    const bool persistent_first = problem.in_channels >= 256 && problem.out_channels >= 256;
    shapes.insert(persistent_first ? shapes.begin() : shapes.end(), persistent.begin(), persistent.end());
  }
  return shapes;
}

}  // namespace

const ArchitectureFamily& architecture_family_sm90() {
  static constexpr ArchitectureFamily family{members, tile_shapes};
  return family;
}

}  // namespace flexgemm::codegen
