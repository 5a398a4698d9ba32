#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>

#include <fmt/format.h>

#include <flexgemm/flexgemm.hpp>

#include "ceilings.hpp"
#include "random_data.hpp"
#include "suite.hpp"
#include "timing.hpp"

namespace flexgemm::bench {

namespace {

struct NamedScene {
  std::string name;
  scene::VoxelScene voxels;
};

std::vector<NamedScene> load_scenes(const SuiteOptions& options) {
  std::vector<NamedScene> scenes;
  for (const std::string& path : options.scans) {
    scenes.push_back({std::filesystem::path(path).stem().string(),
                      scene::voxelize(scene::read_point_cloud(path), options.voxelize)});
  }
  if (!scenes.empty()) return scenes;
  for (const int resolution : options.quick ? std::vector{64} : std::vector{64, 128, 256})
    scenes.push_back({fmt::format("sphere:{}", resolution), scene::sphere_scene(resolution)});
  return scenes;
}

class CpuSuite {
 public:
  explicit CpuSuite(const SuiteOptions& options)
      : options_(options), context_(Context::open(Device::cpu(), {.threads = options.threads})) {
    repeat_ = options.quick ? RepeatOptions{.least = 2, .most = 5, .seconds = 0.3} : RepeatOptions{};
  }

  nlohmann::json run() {
    const std::vector<std::int64_t> channels =
        !options_.channels.empty()
            ? options_.channels
            : (options_.quick ? std::vector<std::int64_t>{32} : std::vector<std::int64_t>{32, 64, 128});
    const std::vector<std::string> dtypes =
        !options_.dtypes.empty() ? options_.dtypes
                                 : (options_.quick ? std::vector<std::string>{"f32"}
                                                   : std::vector<std::string>{"f32", "f16", "bf16"});
    ceilings_.sample();
    fmt::print("{}\n", context_.description());
    for (const NamedScene& scene : load_scenes(options_)) {
      const NeighborMap map = measure_map(scene);
      print_header();
      for (const std::int64_t count : channels) {
        for (const std::string& dtype : dtypes) measure_layer(scene.name, map, count, parse_dtype(dtype));
      }
    }
    return finish();
  }

 private:
  NeighborMap measure_map(const NamedScene& scene) {
    const scene::VoxelScene& voxels = scene.voxels;
    NeighborMap map;
    const Timing timing = measure(repeat_, [&] {
      map = context_.submanifold_map({voxels.coords.data(), {voxels.voxels(), 4}}, voxels.grid);
    });
    const double a_voxel =
        static_cast<double>(map.pairs()) / static_cast<double>(std::max<std::int64_t>(map.rows(), 1));
    fmt::print("\n{}: {} voxels, {} pairs, {:.2f} pairs a voxel; map of 3x3x3 in {:.2f} ms (least {:.2f})\n",
               scene.name, map.rows(), map.pairs(), a_voxel, timing.median_ms, timing.min_ms);
    maps_.push_back({{"scene", scene.name},
                     {"voxels", map.rows()},
                     {"pairs", map.pairs()},
                     {"kernel", "3x3x3"},
                     {"median_ms", timing.median_ms},
                     {"min_ms", timing.min_ms},
                     {"max_ms", timing.max_ms},
                     {"repetitions", timing.repetitions}});
    return map;
  }

  void measure_layer(const std::string& scene, const NeighborMap& map, std::int64_t channels, DType dtype) {
    const Conv3d conv = context_.conv3d({.in_channels = channels, .out_channels = channels, .dtype = dtype});
    const Shape rows{map.rows(), channels};
    const Shape weight_shape{channels, 3, 3, 3, channels};
    const Tensor feats(context_, rows, dtype, 1);
    const Tensor grad_out(context_, rows, dtype, 2);
    const Tensor out(context_, rows, dtype, 3);
    const Tensor weight(context_, weight_shape, dtype, 4);
    const Tensor bias(context_, {channels}, DType::f32, 5);
    const Tensor grad_weight(context_, weight_shape, DType::f32, 6);
    const auto pass = [&](Op op, const std::function<void()>& call) {
      ceilings_.sample();  // beside every row: the machine's state changes during a run
      add_row(scene, map, conv, op, measure(repeat_, call));
    };
    pass(Op::forward, [&] { conv.forward(map, feats.read(), weight.read(), bias.read(), out.write()); });
    pass(Op::grad_input, [&] {
      conv.backward(map, grad_out.read(), {}, weight.read(),
                    {.input = out.write(), .weight = {}, .bias = {}});
    });
    pass(Op::grad_weight, [&] {
      conv.backward(map, grad_out.read(), feats.read(), {},
                    {.input = {}, .weight = grad_weight.write(), .bias = {}});
    });
  }

  static void print_header() {
    fmt::print("{:>5} {:>5} {:<12} {:>10} {:>10} {:>9} {:>8}  {}\n", "C", "type", "pass", "median ms",
               "least ms", "GFLOP/s", "% sgemm", "kernel");
  }

  void add_row(const std::string& scene, const NeighborMap& map, const Conv3d& conv, Op op,
               const Timing& timing) {
    const Conv3dOptions& layer = conv.options();
    const double flop = 2.0 * static_cast<double>(map.pairs()) * static_cast<double>(layer.in_channels) *
                        static_cast<double>(layer.out_channels);
    const double best_gflops = flop / timing.min_ms / 1e6;
    const KernelChoice choice = conv.choice(map, op);
    const std::string percent =
        ceilings_.sgemm_gflops() ? fmt::format("{:.1f}", 100 * best_gflops / *ceilings_.sgemm_gflops()) : "-";
    fmt::print("{:>5} {:>5} {:<12} {:>10.2f} {:>10.2f} {:>9.1f} {:>8}  {}\n", layer.in_channels,
               name(layer.dtype), name(op), timing.median_ms, timing.min_ms, best_gflops, percent,
               choice.kernel);
    passes_.push_back({{"scene", scene},
                       {"in_channels", layer.in_channels},
                       {"out_channels", layer.out_channels},
                       {"dtype", name(layer.dtype)},
                       {"op", name(op)},
                       {"algorithm", name(choice.algorithm)},
                       {"kernel", choice.kernel},
                       {"median_ms", timing.median_ms},
                       {"min_ms", timing.min_ms},
                       {"max_ms", timing.max_ms},
                       {"repetitions", timing.repetitions},
                       {"useful_gflops", best_gflops}});
  }

  /// The share of the ceiling is final only now: the best sample of the whole run counts.
  nlohmann::json finish() {
    fmt::print("\ncopy {:.1f} GB/s", ceilings_.copy_gigabytes());
    nlohmann::json ceilings{{"copy_gigabytes", ceilings_.copy_gigabytes()}, {"sgemm_gflops", nullptr}};
    if (const std::optional<double> sgemm = ceilings_.sgemm_gflops()) {
      fmt::print(
          ", sgemm {:.1f} GFLOP/s (2048^3, best of the run); GFLOP/s and % sgemm are of the least time",
          *sgemm);
      ceilings["sgemm_gflops"] = *sgemm;
      for (nlohmann::json& row : passes_)
        row["percent_of_sgemm"] = 100 * row["useful_gflops"].get<double>() / *sgemm;
    }
    fmt::print("\n");
    return {
        {"device", context_.description()},
        {"version", version()},
        {"options", {{"quick", options_.quick}, {"threads", options_.threads}, {"scans", options_.scans}}},
        {"ceilings", ceilings},
        {"maps", maps_},
        {"passes", passes_}};
  }

  const SuiteOptions& options_;
  const Context context_;
  RepeatOptions repeat_;
  CpuCeilings ceilings_;
  nlohmann::json maps_ = nlohmann::json::array();
  nlohmann::json passes_ = nlohmann::json::array();
};

}  // namespace

nlohmann::json run_cpu_suite(const SuiteOptions& options) { return CpuSuite(options).run(); }

}  // namespace flexgemm::bench
