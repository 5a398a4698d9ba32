#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <flexgemm/flexgemm.hpp>

#include "scene/voxel_scene.hpp"

namespace flexgemm::run {

/// What the command line of flexgemm-run asks for. Every value has been checked by itself; whether the scene,
/// the device and the output folder exist is found out later.
struct RunOptions {
  std::string scene;                                ///< a file, "sphere:RES" or "lidar:SEED"
  int columns = 4;                                  ///< float32 values a point in .bin files
  std::array<double, 3> voxel_size{0.1, 0.1, 0.1};  ///< metres
  std::optional<scene::Range> range;                ///< none: the bounding box of the finite points
  std::vector<std::int64_t> channels{32, 64};       ///< out channels, one a layer
  SubmanifoldOptions map;                           ///< kernel and dilation of every layer
  DType dtype = DType::f32;
  std::optional<Device> device;  ///< none: the first GPU that can be opened, else the CPU
  int threads = 0;               ///< of the CPU backend; 0: all processors
  Algorithm algorithm = Algorithm::automatic;
  std::uint64_t seed = 0;  ///< of the weights
  int repeat = 1;          ///< timed runs of the map and of each layer
  bool verify = false;
  bool json = false;
  std::vector<std::string> kernel_packs;  ///< files to take compiled kernels from
  std::string out;                        ///< folder for feats.npy and coords.npy; empty: none
};

/// Either options to run with, or (for --help and --version) only a text to print.
struct CommandLine {
  std::optional<RunOptions> options;
  std::string information;
};

/// Reads the arguments of main(). Throws Error{invalid_argument} that names the option, its value and what
/// would be accepted.
CommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace flexgemm::run
