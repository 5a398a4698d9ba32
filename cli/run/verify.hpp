#pragma once

#include <cstdint>
#include <vector>

#include <flexgemm/flexgemm.hpp>

#include "scene/voxel_scene.hpp"

namespace flexgemm::run {

/// The part of a scene that the float64 reference computes: some rows, and all rows that they can read.
/// For small scenes that is every row.
struct VerificationSample {
  std::vector<std::int64_t> rows;      ///< rows of the scene, ascending
  std::vector<std::int64_t> selected;  ///< positions in `rows` of the rows to check, ascending
  std::vector<std::int32_t> map;       ///< the reference's neighbor map of `rows` among themselves: [rows, V]
  int volume = 0;                      ///< V
};

/// How many of a scene's rows to check: all of them, unless the reference would take too long; then as many
/// as it can do in its time, but at least 512. `channels` are those of the features, then of each layer.
std::int64_t verification_rows(std::int64_t voxels, std::int64_t pairs, int volume,
                               const std::vector<std::int64_t>& channels);

/// Draws `count` rows, one at random from each of as many equal parts of the scene; the same for the same
/// seed.
VerificationSample draw_sample(const scene::VoxelScene& scene, const SubmanifoldOptions& options,
                               std::int64_t count, std::uint64_t seed);

/// Entries of the selected rows where `indices`, the library's map of the whole scene in host memory (int32
/// [N, V]), differs from the reference's.
std::int64_t map_mismatches(const VerificationSample& sample, const std::int32_t* indices);

/// One layer with its data of the whole scene, in host memory.
struct LayerCheck {
  const Conv3dOptions* options = nullptr;
  const void* feats = nullptr;   ///< [N, Ci], storage type
  const void* weight = nullptr;  ///< [Co, V, Ci], storage type
  const float* bias = nullptr;   ///< [Co]
  const void* out = nullptr;     ///< [N, Co], storage type: what the library computed
};

/// Relative error ||out - reference|| / ||reference|| over the selected rows; infinity if one is not finite,
/// 0 if there are no rows.
double layer_error(const VerificationSample& sample, const LayerCheck& layer);

}  // namespace flexgemm::run
