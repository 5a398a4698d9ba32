#include "scenes.hpp"

#include <charconv>
#include <optional>

#include <fmt/format.h>

#include <flexgemm/error.hpp>

namespace flexgemm::bench {

namespace {

/// The number behind a prefix: 64 of "sphere:64".
std::optional<std::uint64_t> number_after(const std::string& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + prefix.size(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

constexpr std::string_view sphere = "sphere:";
constexpr std::string_view lidar = "lidar:";
constexpr std::uint64_t largest_sphere = 4096;

}  // namespace

SceneRequest parse_scene(const std::string& text) {
  const auto resolution = number_after(text, sphere);
  const bool is_sphere = resolution && *resolution >= 1 && *resolution <= largest_sphere;
  if (!is_sphere && !number_after(text, lidar)) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("the scene '{}' is unknown; use sphere:RES (1 to {}), lidar:SEED, or --scan for files",
                    text, largest_sphere));
  }
  SceneRequest request;
  request.name = text;
  return request;
}

std::vector<std::int64_t> default_channels(const SceneRequest& scene) {
  const auto resolution = number_after(scene.name, sphere);
  if (!scene.path.empty() || !resolution) return {16, 32, 64, 128};
  if (*resolution <= 64) return {1024};
  if (*resolution <= 128) return {512};
  if (*resolution <= 256) return {256};
  if (*resolution <= 512) return {128};
  return {64};
}

int default_layers(const SceneRequest& scene) {
  const auto resolution = number_after(scene.name, sphere);
  if (!scene.path.empty() || !resolution) return 1;
  if (*resolution <= 8) return 16;
  if (*resolution <= 16) return 8;
  if (*resolution <= 32) return 4;
  return 2;
}

std::future<scene::VoxelScene> load_scene(const SceneRequest& request) {
  return std::async(std::launch::async, [request] {
    if (!request.path.empty())
      return scene::voxelize(scene::read_point_cloud(request.path), request.voxelize);
    if (const auto resolution = number_after(request.name, sphere))
      return scene::sphere_scene(static_cast<int>(*resolution));
    return scene::voxelize(scene::lidar_scan(number_after(request.name, lidar).value_or(0)),
                           request.voxelize);
  });
}

}  // namespace flexgemm::bench
