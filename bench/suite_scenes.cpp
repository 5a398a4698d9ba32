#include "suite_scenes.hpp"

#include <array>
#include <filesystem>
#include <sstream>

#include <fmt/format.h>

#include <flexgemm/error.hpp>

namespace flexgemm::bench {

namespace {

std::vector<double> numbers(const char* option, const std::string& text) {
  std::vector<double> values;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    std::size_t used = 0;
    double value = 0;
    try {
      value = std::stod(part, &used);
    } catch (const std::exception&) {
      used = 0;
    }
    if (used == 0 || used != part.size())
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("{} is '{}'; '{}' is no number", option, text, part));
    values.push_back(value);
  }
  return values;
}

/// The value that belongs to scan `index`; null if there is none.
const std::string* value_for(const char* option, const std::vector<std::string>& values, std::size_t index,
                             std::size_t scans) {
  if (values.empty()) return nullptr;
  if (values.size() == 1) return values.data();
  if (values.size() != scans) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{} is given {} times for {} scans; give it once for all scans or once for each",
                            option, values.size(), scans));
  }
  return &values[index];
}

scene::VoxelizeOptions voxelize_options(const SceneArguments& arguments, std::size_t index) {
  scene::VoxelizeOptions options;
  if (const std::string* text =
          value_for("--voxel-size", arguments.voxel_sizes, index, arguments.scans.size())) {
    const std::vector<double> sizes = numbers("--voxel-size", *text);
    if (sizes.size() != 1 && sizes.size() != 3)
      throw Error(ErrorCode::invalid_argument,
                  fmt::format("--voxel-size is '{}'; it takes one number or three", *text));
    for (std::size_t axis = 0; axis < 3; ++axis)
      options.voxel_size[axis] = sizes[sizes.size() == 3 ? axis : 0];
  }
  if (const std::string* text = value_for("--range", arguments.ranges, index, arguments.scans.size())) {
    const std::vector<double> r = numbers("--range", *text);
    if (r.size() != 6)
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("--range is '{}'; it takes six numbers: x,y,z of the lower and the upper corner",
                      *text));
    options.range = scene::Range{{r[0], r[1], r[2]}, {r[3], r[4], r[5]}};
  }
  return options;
}

std::vector<std::string> default_scenes(bool on_cpu, bool quick) {
  if (quick) return {"sphere:64"};
  if (on_cpu) return {"sphere:64", "sphere:128", "sphere:256"};
  return {"sphere:8",   "sphere:16",  "sphere:32",  "sphere:64",
          "sphere:128", "sphere:256", "sphere:512", "sphere:1024"};
}

std::vector<std::int64_t> channels_of(const SceneArguments& arguments, const SceneRequest& scene, bool on_cpu,
                                      bool quick) {
  if (!arguments.channels.empty()) return arguments.channels;
  if (quick && on_cpu) return {32};
  if (quick) return {64};
  // Channels that are usual on a GPU would keep a CPU busy for hours.
  if (on_cpu) return {32, 64, 128};
  return default_channels(scene);
}

}  // namespace

void declare_scene_arguments(CLI::App& command, SceneArguments& arguments) {
  command.add_option("--scenes", arguments.scenes, "Generated scenes, such as sphere:64,lidar:1, or none")
      ->delimiter(',');
  command.add_option("--scan", arguments.scans, "A scan to measure as well; may be repeated")
      ->check(CLI::ExistingFile)
      ->allow_extra_args(false);
  command
      .add_option("--voxel-size", arguments.voxel_sizes, "Metres: S or X,Y,Z; once, or once for each --scan")
      ->allow_extra_args(false);
  command
      .add_option("--range", arguments.ranges,
                  "Metres: x,y,z,x,y,z of two corners; once, or once for each --scan")
      ->allow_extra_args(false);
  command.add_option("--channels", arguments.channels, "Channels of every scene's layers, such as 32,64")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20));
}

std::vector<SceneRequest> scene_requests(const SceneArguments& arguments, bool on_cpu, bool quick) {
  std::vector<SceneRequest> requests;
  const std::vector<std::string> names =
      arguments.scenes.empty() ? default_scenes(on_cpu, quick) : arguments.scenes;
  for (const std::string& name : names) {
    if (name != "none") requests.push_back(parse_scene(name));
  }
  for (std::size_t i = 0; i < arguments.scans.size(); ++i) {
    SceneRequest request;
    request.path = arguments.scans[i];
    request.name = std::filesystem::path(request.path).stem().string();
    request.voxelize = voxelize_options(arguments, i);
    requests.push_back(std::move(request));
  }
  for (SceneRequest& request : requests) {
    request.channels = channels_of(arguments, request, on_cpu, quick);
    request.layers = default_layers(request);
  }
  return requests;
}

}  // namespace flexgemm::bench
