#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <flexgemm/neighbor_map.hpp>

#include "scene/point_cloud.hpp"

namespace flexgemm::scene {

/// Occupied voxels with one feature row each, ready for Context::submanifold_map.
struct VoxelScene {
  std::vector<std::int32_t> coords;  ///< [N, 4]: batch (0), x, y, z; each voxel once
  std::vector<float> feats;          ///< [N, feature_columns]
  int feature_columns = 0;
  Grid grid;
  std::int64_t points = 0;                ///< points read
  std::int64_t dropped_not_finite = 0;    ///< of these: NaN or infinite in any column
  std::int64_t dropped_out_of_range = 0;  ///< of these: outside the range
  std::int64_t voxels() const noexcept { return static_cast<std::int64_t>(coords.size()) / 4; }
};

/// Lower corner (inclusive) and upper corner (exclusive), metres.
struct Range {
  std::array<double, 3> low;
  std::array<double, 3> high;
};

struct VoxelizeOptions {
  std::array<double, 3> voxel_size{0.1, 0.1, 0.1};  ///< metres
  std::optional<Range> range = {};                  ///< none: the bounding box of the finite points
};

/// Cells of floor((point - low) / voxel_size), computed in float as the field's voxelizers do (spconv's
/// counts are met exactly); a point just below the upper corner that rounds beyond the last cell belongs to
/// it. The grid has (high - low) / voxel_size cells, rounded up; without a range it reaches from the lowest
/// finite point to the cell of the highest. A voxel's features are the mean of its points over all columns
/// (x, y, z included), summed in double in the points' order. Voxels come in the order of their cell (x, then
/// y, then z). No points at all give an empty scene with a valid grid. Throws Error{invalid_argument} for a
/// cloud without whole points of at least 3 columns, a voxel size that is not positive and finite, a range
/// that is upside down, empty or not finite (all in float), or a grid of more than 2^31 - 1 cells along an
/// axis.
VoxelScene voxelize(const PointCloud& cloud, const VoxelizeOptions& options);

/// The voxel shell of the seed's benchmark: voxels of a RES^3 cube whose centre is at a distance within
/// [RES/2 - 1.25, RES/2] of the cube's centre; sphere:256 has 252,392. Three features: the direction from the
/// centre. Throws Error{invalid_argument} unless 1 <= resolution <= 4096.
VoxelScene sphere_scene(int resolution);

/// A plausible street scan by ray casting: a 64-beam spinning sensor over ground, kerbs, building fronts,
/// cars, poles, trees and pedestrians, with range noise and drop-outs. Columns x, y, z, intensity. The same
/// seed gives the same scan on every machine.
PointCloud lidar_scan(std::uint64_t seed);

}  // namespace flexgemm::scene
