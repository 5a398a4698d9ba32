#include "run/options.hpp"

#include <string_view>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "common/failure.hpp"
#include "common/parse_values.hpp"
#include "common/scene_source.hpp"

namespace flexgemm::run {

using namespace cli;

namespace {

constexpr std::string_view description =
    "Runs sparse 3D convolutions on a scan: reads the points, averages them into voxels, builds the "
    "neighbor\n"
    "map, runs a chain of submanifold layers with random weights, and prints what it took.";

constexpr std::string_view notes = R"(Scenes
  FILE         .npy, .npz, .ply, .pcd, or .bin (raw float32, see --columns); x, y, z come first, and every
               column, x, y and z included, is an input channel of the first layer
  sphere:RES   a voxel shell in a cube of RES^3 voxels; it is made of voxels, so that --voxel-size and --range
               do not apply
  lidar:SEED   a generated street scan: x, y, z, intensity
  Points with NaN or infinite values and points outside --range are dropped and counted.

Algorithms
  explicit_gemm, implicit_gemm, implicit_gemm_splitk, masked_implicit_gemm, masked_implicit_gemm_splitk

Layers are submanifold convolutions with bias and without activation. Weights are normal, scaled so that
features keep their size. Time of the map and of each layer: the median of --repeat runs, after one more to
warm up if --repeat is above 1. On a GPU the first call of a layer, which compiles its kernel, is a stage of
its own. GFLOP/s are useful: 2 * pairs * Ci * Co, whatever was executed. Memory is the
highest so far: what the library held on the device, and what the process held of the machine's memory.

Examples
  flexgemm-run sphere:256
  flexgemm-run lidar:1 --channels 32,64,64 --verify
  flexgemm-run scan.npz --voxel-size 0.1 --range=-80,-80,-2,80,80,6 --channels 32,32 --verify --json
  flexgemm-run frame.bin --columns 4 --voxel-size 0.05,0.05,0.1 --range=0,-40,-3,70.4,40,1 --dtype f16
  flexgemm-run lidar:1 --device cuda:0 --dtype f16 --kernel-pack net.pack
  flexgemm-run cloud.pcd --kernel 3,3,1 --device cuda:0 --repeat 20 --out features

Exit codes
  0  done (an empty scene is no error)
  1  failed: out of memory, a failure of the driver, or a bug
  2  bad usage: an option that is unknown, malformed or impossible
  3  bad input or output: a file or folder that cannot be read, understood or written
  4  --verify found a wrong result; nothing is written to --out
  5  no such device
)";

/// Options as they stand on the command line.
struct Texts {
  std::string columns = "4";
  std::string voxel_size = "0.1";
  std::string range;
  std::string channels = "32,64";
  std::string kernel = "3";
  std::string dilation = "1";
  std::string dtype = "f32";
  std::string device = "auto";
  std::string threads = "0";
  std::string algorithm = "auto";
  std::string seed = "0";
  std::string repeat = "1";
};

void declare_options(CLI::App& app, RunOptions& options, Texts& texts) {
  const auto add = [&app](const char* names, std::string& target, const char* what, const char* form) {
    app.add_option(names, target, what)->type_name(form)->capture_default_str();
  };
  app.add_option("SCENE", options.scene, "a file, sphere:RES or lidar:SEED")->required()->type_name("");
  add("--columns", texts.columns, "float32 values a point in .bin files", "N");
  add("--voxel-size", texts.voxel_size, "metres, for all axes or for each", "S|X,Y,Z");
  app.add_option("--range", texts.range, "corners of the box to keep, metres; default: all points")
      ->type_name("XMIN,YMIN,ZMIN,XMAX,YMAX,ZMAX");
  add("--channels", texts.channels, "output channels, one number a layer", "C,C,...");
  add("--kernel", texts.kernel, "taps along all axes or each, 1 to 7", "K|X,Y,Z");
  add("--dilation", texts.dilation, "cells between taps, all axes or each", "D|X,Y,Z");
  add("--dtype", texts.dtype, "f32, tf32, f16 or bf16", "TYPE");
  add("--device", texts.device, "auto (the first GPU, else the CPU), cpu, cuda:N", "DEVICE");
  add("--threads", texts.threads, "threads of the CPU backend; 0: all processors", "N");
  add("--algorithm", texts.algorithm, "auto, or one of those below", "NAME");
  add("--seed", texts.seed, "seed of the random weights", "N");
  add("--repeat", texts.repeat, "timed runs of the map and of each layer", "N");
  app.add_flag("--verify", options.verify, "check the map and every layer against a float64 reference");
  app.add_flag("--json", options.json, "print one JSON object instead of the table");
  app.add_option("--kernel-pack", options.kernel_packs,
                 "take compiled kernels from this pack; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app.add_option("--out", options.out, "write feats.npy (float32 [N, C]) and coords.npy (int32 [N, 4])")
      ->type_name("DIR");
}

std::array<double, 3> parse_voxel_size(const std::string& text) {
  const std::vector<double> sizes = parse_numbers("--voxel-size", text);
  if (sizes.size() != 1 && sizes.size() != 3) {
    fail(ErrorCode::invalid_argument, "--voxel-size is '{}'; it takes one number or three", text);
  }
  for (const double size : sizes) {
    if (!(size > 0)) fail(ErrorCode::invalid_argument, "--voxel-size is '{}'; it must be positive", text);
  }
  return sizes.size() == 1 ? std::array{sizes[0], sizes[0], sizes[0]}
                           : std::array{sizes[0], sizes[1], sizes[2]};
}

scene::Range parse_range(const std::string& text) {
  const std::vector<double> corners = parse_numbers("--range", text);
  if (corners.size() != 6) {
    fail(ErrorCode::invalid_argument,
         "--range is '{}', which is {} numbers; it takes six: xmin,ymin,zmin,xmax,ymax,zmax", text,
         corners.size());
  }
  scene::Range range{{corners[0], corners[1], corners[2]}, {corners[3], corners[4], corners[5]}};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (!(range.low[axis] < range.high[axis])) {
      fail(ErrorCode::invalid_argument,
           "--range is '{}': along {} the lower corner {} is not below the upper {}", text, "xyz"[axis],
           range.low[axis], range.high[axis]);
    }
  }
  return range;
}

void parse_texts(const Texts& texts, RunOptions& options) {
  constexpr std::int64_t most_channels = 1 << 20;
  constexpr std::int64_t most_taps = 7;
  constexpr std::int64_t most_dilation = 1 << 24;
  parse_scene_source(options.scene);
  options.columns = static_cast<int>(parse_integer("--columns", texts.columns, 3, 64));
  options.voxel_size = parse_voxel_size(texts.voxel_size);
  if (!texts.range.empty()) options.range = parse_range(texts.range);
  options.channels = parse_integers("--channels", texts.channels, 1, most_channels);
  options.map.kernel = parse_extent("--kernel", texts.kernel, most_taps);
  options.map.dilation = parse_extent("--dilation", texts.dilation, most_dilation);
  options.dtype = parse_feature_type(texts.dtype);
  if (texts.device != "auto") options.device = Device::parse(texts.device);
  options.threads = static_cast<int>(parse_integer("--threads", texts.threads, 0, 1024));
  options.algorithm = parse_algorithm(texts.algorithm);
  options.seed = parse_seed("--seed", texts.seed);
  options.repeat = static_cast<int>(parse_integer("--repeat", texts.repeat, 1, 1'000'000));
}

}  // namespace

CommandLine parse_command_line(int argc, const char* const* argv) {
  CLI::App app{std::string(description), "flexgemm-run"};
  RunOptions options;
  Texts texts;
  declare_options(app, options, texts);
  const std::string version = fmt::format("flexgemm-run {}\n", flexgemm::version());
  app.set_version_flag("--version", version);
  app.get_formatter()->column_width(42);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return {{}, app.help() + std::string(notes)};
  } catch (const CLI::CallForVersion&) {
    return {{}, version};
  } catch (const CLI::ParseError& error) {
    fail(ErrorCode::invalid_argument, "{}; see flexgemm-run --help", error.what());
  }
  if (app.count("--out") != 0 && options.out.empty()) {
    fail(ErrorCode::invalid_argument, "--out is empty; it takes the folder to write to");
  }
  if (app.count("--range") != 0 && texts.range.empty()) parse_range(texts.range);
  parse_texts(texts, options);
  return {std::move(options), {}};
}

}  // namespace flexgemm::run
