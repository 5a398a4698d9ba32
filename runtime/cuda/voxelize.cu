#include <algorithm>
#include <bit>

#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>

#include "cuda/launch.hpp"
#include "cuda/voxelize.hpp"
#include "ptx/convert.cuh"

namespace flexgemm::detail {

namespace {

constexpr int threads_per_block = 256;

/// The grid in the types that the arithmetic of cells needs: float, and double for the upper corner.
struct CellGrid {
  float low[3];
  float size[3];
  double high[3];
  int extent[3];
  std::uint64_t none;  // number of a dropped point

  __device__ std::uint64_t cell(const float* point, int columns) const {
    for (int column = 0; column < columns; ++column) {
      if (!isfinite(point[column])) return none;
    }
    std::uint64_t number = 0;
    for (int axis = 0; axis < 3; ++axis) {
      const float value = point[axis];
      if (value < low[axis] || static_cast<double>(value) >= high[axis]) return none;
      const float index = __fdiv_rn(__fsub_rn(value, low[axis]), size[axis]);
      const int last = extent[axis] - 1;
      const int along = index < static_cast<float>(last) ? static_cast<int>(index) : last;
      number = number * static_cast<std::uint64_t>(extent[axis]) + static_cast<std::uint64_t>(along);
    }
    return number;
  }
};

CellGrid cell_grid(const VoxelizerOptions& options) {
  CellGrid grid{};
  const int extents[] = {options.grid.x, options.grid.y, options.grid.z};
  grid.none = 1;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    grid.low[axis] = options.low[axis];
    grid.size[axis] = options.voxel_size[axis];
    grid.extent[axis] = extents[axis];
    grid.high[axis] =
        static_cast<double>(grid.low[axis]) + extents[axis] * static_cast<double>(grid.size[axis]);
    grid.none *= static_cast<std::uint64_t>(extents[axis]);
  }
  return grid;
}

__global__ void __launch_bounds__(threads_per_block)
    cells_kernel(Voxelize run, CellGrid grid, std::int64_t max_points, int columns) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads_per_block + threadIdx.x;
  if (i >= max_points) return;
  const std::int64_t count = *run.point_count;
  if (i == 0 && count > max_points) *run.overflowed = 1;
  run.cells[0][i] = i < count ? grid.cell(run.points + i * columns, columns) : grid.none;
  run.order[0][i] = static_cast<int>(i);
}

/// 1 where a sorted point begins a voxel.
__global__ void __launch_bounds__(threads_per_block)
    heads_kernel(const std::uint64_t* cells, std::uint64_t none, std::int64_t max_points,
                 std::int32_t* heads) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads_per_block + threadIdx.x;
  if (i >= max_points) return;
  const std::uint64_t own = cells[i];
  heads[i] = own != none && (i == 0 || cells[i - 1] != own) ? 1 : 0;
}

__global__ void __launch_bounds__(threads_per_block)
    voxels_kernel(Voxelize run, const std::uint64_t* cells, CellGrid grid, std::int64_t max_points,
                  std::int64_t max_voxels) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads_per_block + threadIdx.x;
  if (i >= max_points) return;
  const std::uint64_t own = cells[i];
  if (own == grid.none) {
    if (i == 0) *run.voxel_count = 0;
    return;
  }
  const std::int64_t voxel = run.voxel[i] - 1;
  if ((i == 0 || cells[i - 1] != own) && voxel <= max_voxels) {
    run.begin[voxel] = static_cast<int>(i);
    if (voxel < max_voxels) {
      const auto y = static_cast<std::uint64_t>(grid.extent[1]);
      const auto z = static_cast<std::uint64_t>(grid.extent[2]);
      std::int32_t* coords = run.coords + voxel * 4;
      coords[0] = 0;
      coords[1] = static_cast<int>(own / z / y);
      coords[2] = static_cast<int>(own / z % y);
      coords[3] = static_cast<int>(own % z);
    }
  }
  if (i + 1 < max_points && cells[i + 1] != grid.none) return;  // the last point that is in a voxel goes on
  *run.voxel_count = static_cast<int>(voxel + 1);
  if (voxel < max_voxels) {
    run.begin[voxel + 1] = static_cast<int>(i + 1);
  } else {
    *run.overflowed = 1;
  }
}

/// One thread an element of the features: the sum over the voxel's points in their order.
template <class Element>
__global__ void __launch_bounds__(threads_per_block)
    means_kernel(Voxelize run, const std::int32_t* order, std::int64_t max_voxels, int columns) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads_per_block + threadIdx.x;
  const std::int64_t voxel = i / columns;
  if (voxel >= max_voxels || voxel >= *run.voxel_count) return;
  const int column = static_cast<int>(i % columns);
  const int begin = run.begin[voxel];
  const int end = run.begin[voxel + 1];
  double sum = 0;
  for (int point = begin; point < end; ++point) {
    sum += static_cast<double>(run.points[static_cast<std::int64_t>(order[point]) * columns + column]);
  }
  static_cast<Element*>(run.feats)[i] = from_float<Element>(static_cast<float>(sum / (end - begin)));
}

int cell_bits(const CellGrid& grid) { return static_cast<int>(std::bit_width(grid.none)); }

cudaError_t sort_points(void* scratch, std::size_t& bytes, cub::DoubleBuffer<std::uint64_t>& cells,
                        cub::DoubleBuffer<std::int32_t>& order, std::int64_t points, int bits,
                        CUstream_st* stream) {
  return cub::DeviceRadixSort::SortPairs(scratch, bytes, cells, order, static_cast<std::uint32_t>(points), 0,
                                         bits, stream);
}

cudaError_t number_voxels(void* scratch, std::size_t& bytes, std::int32_t* heads, std::int64_t points,
                          CUstream_st* stream) {
  return cub::DeviceScan::InclusiveSum(scratch, bytes, heads, heads, static_cast<std::uint32_t>(points),
                                       stream);
}

template <class Element>
void launch_means(const VoxelizerOptions& options, const Voxelize& run, const std::int32_t* order,
                  CUstream_st* stream) {
  launch("averaging the points of voxels", means_kernel<Element>,
         ceil_div(options.max_voxels * options.columns, threads_per_block), threads_per_block, 0, stream, run,
         order, options.max_voxels, options.columns);
}

}  // namespace

std::size_t voxelize_scratch(const VoxelizerOptions& options) {
  cub::DoubleBuffer<std::uint64_t> cells;
  cub::DoubleBuffer<std::int32_t> order;
  std::size_t sort_bytes = 0;
  require_success(sort_points(nullptr, sort_bytes, cells, order, options.max_points,
                              cell_bits(cell_grid(options)), nullptr),
                  "sizing the sort of points");
  std::size_t scan_bytes = 0;
  require_success(number_voxels(nullptr, scan_bytes, nullptr, options.max_points, nullptr),
                  "sizing the numbering of voxels");
  return std::max(sort_bytes, scan_bytes);
}

void voxelize(const VoxelizerOptions& options, const Voxelize& run, CUstream_st* stream) {
  const CellGrid grid = cell_grid(options);
  const std::int64_t points = options.max_points;
  const std::int64_t blocks = ceil_div(points, threads_per_block);
  launch("finding the cells of points", cells_kernel, blocks, threads_per_block, 0, stream, run, grid, points,
         options.columns);
  cub::DoubleBuffer<std::uint64_t> cells(run.cells[0], run.cells[1]);
  cub::DoubleBuffer<std::int32_t> order(run.order[0], run.order[1]);
  std::size_t bytes = run.scratch_bytes;
  require_success(sort_points(run.scratch, bytes, cells, order, points, cell_bits(grid), stream),
                  "sorting points by cell");
  launch("finding voxels", heads_kernel, blocks, threads_per_block, 0, stream, cells.Current(), grid.none,
         points, run.voxel);
  bytes = run.scratch_bytes;
  require_success(number_voxels(run.scratch, bytes, run.voxel, points, stream), "numbering voxels");
  launch("writing voxels", voxels_kernel, blocks, threads_per_block, 0, stream, run, cells.Current(), grid,
         points, options.max_voxels);
  switch (storage_type(options.dtype)) {
    case DType::f16:
      return launch_means<f16_t>(options, run, order.Current(), stream);
    case DType::bf16:
      return launch_means<bf16_t>(options, run, order.Current(), stream);
    default:
      return launch_means<float>(options, run, order.Current(), stream);
  }
}

}  // namespace flexgemm::detail
