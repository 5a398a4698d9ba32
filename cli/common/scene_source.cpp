#include "common/scene_source.hpp"

#include "common/failure.hpp"
#include "common/parse_values.hpp"

namespace flexgemm::cli {

SceneSource parse_scene_source(std::string_view text) {
  constexpr std::string_view sphere = "sphere:";
  constexpr std::string_view lidar = "lidar:";
  SceneSource source;
  if (text.empty()) {
    fail(ErrorCode::invalid_argument, "SCENE is empty; it is a file, sphere:RES or lidar:SEED");
  }
  if (text.starts_with(sphere)) {
    source.kind = SceneSource::Kind::sphere;
    source.resolution =
        static_cast<int>(parse_integer("RES of sphere:RES", text.substr(sphere.size()), 1, 4096));
  } else if (text.starts_with(lidar)) {
    source.kind = SceneSource::Kind::lidar;
    source.seed = parse_seed("SEED of lidar:SEED", text.substr(lidar.size()));
  } else {
    source.path = text;
  }
  return source;
}

}  // namespace flexgemm::cli
