#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace flexgemm::cli {

/// Where a scene comes from.
struct SceneSource {
  enum class Kind { file, sphere, lidar };
  Kind kind = Kind::file;
  std::string path;        ///< of a file
  int resolution = 0;      ///< of a sphere, 1 to 4096
  std::uint64_t seed = 0;  ///< of a street scan
};

/// Reads "sphere:RES" and "lidar:SEED"; any other text is a path. Throws Error{invalid_argument} for an empty
/// text, or when what follows the colon is not such a number.
SceneSource parse_scene_source(std::string_view text);

}  // namespace flexgemm::cli
