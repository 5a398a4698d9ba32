#pragma once

#include <cstdint>
#include <future>
#include <string>
#include <vector>

#include "scene/voxel_scene.hpp"

namespace flexgemm::bench {

/// A scene to measure and the layers to measure on it.
struct SceneRequest {
  std::string name;  ///< sphere:RES, lidar:SEED, or of a scan file its stem
  std::string path;  ///< of a scan file; empty for generated scenes
  scene::VoxelizeOptions voxelize;
  std::vector<std::int64_t> channels;  ///< Ci = Co of its layers
  int layers = 2;                      ///< of the network
};

/// Parses "sphere:RES" and "lidar:SEED". Throws Error{invalid_argument} for anything else.
SceneRequest parse_scene(const std::string& text);

/// The channels that the seed's benchmark gives a scene, and the layers of its networks.
std::vector<std::int64_t> default_channels(const SceneRequest& scene);
int default_layers(const SceneRequest& scene);

/// Begins to make the scene in a thread of its own.
std::future<scene::VoxelScene> load_scene(const SceneRequest& request);

}  // namespace flexgemm::bench
