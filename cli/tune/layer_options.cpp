#include "tune/layer_options.hpp"

#include <CLI/CLI.hpp>

#include "common/failure.hpp"
#include "common/parse_values.hpp"
#include "common/scene_source.hpp"
#include "tune/net_file.hpp"

namespace flexgemm::tune {

using cli::fail;

namespace {

constexpr const char* layer_flags[] = {
    "--op",       "--ci",    "--co",        "--kernel",  "--n", "--pairs-per-voxel",
    "--dilation", "--dtype", "--algorithm", "--epilogue"};

}  // namespace

void LayerOptions::declare(CLI::App& app, bool scene) {
  app_ = &app;
  const auto add = [&app](const char* names, std::string& target, const char* what, const char* form) {
    app.add_option(names, target, what)->type_name(form)->capture_default_str();
  };
  if (scene) {
    app.add_option("SCENE", scene_, "voxels to measure on: a scan file, sphere:RES or lidar:SEED")
        ->type_name("");
    add("--voxel-size", voxel_size_, "of a scan, metres", "S");
  }
  add("--net", net_, "a network's layers (docs/tuning.md has the format)", "FILE.json");
  add("--op", op_, "forward, grad_input or grad_weight", "OP");
  add("--ci", in_channels_, "input channels", "N");
  add("--co", out_channels_, "output channels", "N");
  add("--kernel", kernel_, "taps along all axes or each, 1 to 7", "K|X,Y,Z");
  add("--n", voxels_, "voxels", "N");
  add("--pairs-per-voxel", pairs_, "neighbors a voxel has, itself included; default: as a surface", "P");
  add("--dilation", dilation_, "cells between taps, all axes or each", "D|X,Y,Z");
  add("--dtype", dtype_, "f32, tf32, f16 or bf16", "TYPE");
  add("--algorithm", algorithm_, "auto, or the one to use", "NAME");
  add("--epilogue", epilogue_, "of forward: none, or such as bias+residual+relu", "NAME");
}

bool LayerOptions::has(const char* option) const { return app_->count(option) != 0; }

bool LayerOptions::given() const {
  if (!net_.empty() || !scene_.empty()) return true;
  for (const char* flag : layer_flags) {
    if (has(flag)) return true;
  }
  return false;
}

double LayerOptions::voxel_size() const {
  const std::vector<double> sizes = cli::parse_numbers("--voxel-size", voxel_size_);
  if (sizes.size() != 1 || !(sizes[0] > 0)) {
    fail(ErrorCode::invalid_argument, "--voxel-size is '{}'; it must be one positive number", voxel_size_);
  }
  return sizes[0];
}

std::vector<LayerRequest> LayerOptions::layers() const {
  if (has("--net")) {
    for (const char* flag : layer_flags) {
      if (has(flag)) {
        fail(ErrorCode::invalid_argument, "{} and --net were both given; layers are described by one of them",
             flag);
      }
    }
    if (net_.empty()) fail(ErrorCode::invalid_argument, "--net is empty; it takes the file of a network");
    return read_net_file(net_);
  }
  return {from_flags()};
}

LayerRequest LayerOptions::from_flags() const {
  for (const char* flag : {"--ci", "--co", "--n"}) {
    const bool from_scene = std::string_view(flag) == "--n" && !scene_.empty();
    if (!has(flag) && !from_scene) {
      fail(ErrorCode::invalid_argument, "{} is missing; a layer needs --ci, --co and {}, or --net", flag,
           scene_.empty() ? "--n" : "a scene");
    }
  }
  LayerRequest layer;
  layer.op = parse_op(op_);
  layer.conv.in_channels = cli::parse_integer("--ci", in_channels_, 1, most_channels);
  layer.conv.out_channels = cli::parse_integer("--co", out_channels_, 1, most_channels);
  layer.conv.kernel = cli::parse_extent("--kernel", kernel_, most_taps);
  layer.conv.dtype = cli::parse_feature_type(dtype_);
  layer.conv.algorithm = parse_algorithm(algorithm_);
  layer.dilation = cli::parse_extent("--dilation", dilation_, most_dilation);
  parse_epilogue(epilogue_, layer);
  if (!scene_.empty()) {
    cli::parse_scene_source(scene_);
    for (const char* flag : {"--n", "--pairs-per-voxel"}) {
      if (has(flag))
        fail(ErrorCode::invalid_argument, "{} was given with a scene, which has its own voxels", flag);
    }
    return layer;
  }
  layer.voxels = cli::parse_integer("--n", voxels_, 1, most_voxels);
  if (has("--pairs-per-voxel")) {
    const std::vector<double> pairs = cli::parse_numbers("--pairs-per-voxel", pairs_);
    const Extent3& kernel = layer.conv.kernel;
    const int volume = kernel.x * kernel.y * kernel.z;
    if (pairs.size() != 1 || !(pairs[0] > 0) || pairs[0] > volume) {
      fail(ErrorCode::invalid_argument,
           "--pairs-per-voxel is '{}'; it must be a number above 0, at most {}, the taps of the kernel",
           pairs_, volume);
    }
    layer.pairs_per_voxel = pairs[0];
  }
  return layer;
}

}  // namespace flexgemm::tune
