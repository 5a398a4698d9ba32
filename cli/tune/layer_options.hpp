#pragma once

#include <string>
#include <vector>

#include "tune/layer_request.hpp"

namespace CLI {
class App;
}

namespace flexgemm::tune {

/// The options that describe layers: --net, or --op, --ci, --co, --kernel and so on.
class LayerOptions {
 public:
  /// Declares the options. `scene` adds the operand SCENE, whose voxels then replace --n and
  /// --pairs-per-voxel.
  void declare(CLI::App& app, bool scene);

  /// Whether the command line has any of them.
  bool given() const;
  /// The scene's text: a file, "sphere:RES" or "lidar:SEED"; empty: none.
  const std::string& scene() const noexcept { return scene_; }
  double voxel_size() const;

  /// The layers. Throws Error{invalid_argument} that names the option, Error{io} for a net file.
  std::vector<LayerRequest> layers() const;

 private:
  LayerRequest from_flags() const;
  bool has(const char* option) const;

  CLI::App* app_ = nullptr;
  std::string net_, scene_;
  std::string op_ = "forward";
  std::string in_channels_, out_channels_, voxels_, pairs_;
  std::string kernel_ = "3";
  std::string dilation_ = "1";
  std::string dtype_ = "f16";
  std::string algorithm_ = "auto";
  std::string epilogue_ = "none";
  std::string voxel_size_ = "0.1";
};

}  // namespace flexgemm::tune
