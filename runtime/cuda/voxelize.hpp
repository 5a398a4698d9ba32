#pragma once

#include <cstddef>
#include <cstdint>

#include <flexgemm/device.hpp>
#include <flexgemm/voxelizer.hpp>

namespace flexgemm::detail {

/// The memory of a Voxelizer and the operands of a run. Cells are numbered row-major; a dropped point has the
/// number behind the last cell.
struct Voxelize {
  const float* points;              // [max_points, columns]
  const std::int32_t* point_count;  // on the device
  std::int32_t* coords;             // [max_voxels, 4]
  void* feats;                      // [max_voxels, columns]
  std::int32_t* voxel_count;

  std::uint64_t* cells[2];   // [max_points] each
  std::int32_t* order[2];    // [max_points] each: points
  std::int32_t* voxel;       // [max_points]: of a sorted point, from 1
  std::int32_t* begin;       // [max_voxels + 1]: first sorted point of a voxel
  std::int32_t* overflowed;  // 1: points or voxels were lost
  void* scratch;
  std::size_t scratch_bytes;
};

/// Bytes of `scratch` that `voxelize` needs.
std::size_t voxelize_scratch(const VoxelizerOptions& options);

/// Enqueues a run: cells, a stable sort by cell, runs of equal cells, their means.
void voxelize(const VoxelizerOptions& options, const Voxelize& run, CUstream_st* stream);

}  // namespace flexgemm::detail
