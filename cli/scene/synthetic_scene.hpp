#pragma once

#include <cstdint>
#include <optional>

#include "scene/voxel_scene.hpp"

namespace flexgemm::scene {

/// What a scene made to measure should be like.
struct SyntheticOptions {
  std::int64_t voxels = 100000;                ///< 1 to 2^27
  std::optional<double> pairs_per_voxel = {};  ///< none: that of a surface, as sphere_scene makes it
  SubmanifoldOptions map = {};                 ///< kernel and dilation that pairs are counted for
};

/// Exactly that many voxels with about so many pairs a voxel, in x, y, z order: a spherical shell whose
/// thickness, from one voxel to the solid ball, sets the pairs; for fewer than such a surface has, voxels
/// left out of it at random. Where the pairs cannot be met (more than a solid ball of so few voxels has, or
/// less than one), the scene comes as near as it can. The same options give the same scene on every machine.
/// It has no features (feature_columns = 0). Throws Error{invalid_argument}.
VoxelScene synthetic_scene(const SyntheticOptions& options);

}  // namespace flexgemm::scene
