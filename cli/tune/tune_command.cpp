#include <CLI/CLI.hpp>

#include "common/failure.hpp"
#include "common/parse_values.hpp"
#include "common/scene_source.hpp"
#include "common/terminal.hpp"
#include "tune/cache_options.hpp"
#include "tune/command.hpp"
#include "tune/layer_options.hpp"
#include "tune/tune_report.hpp"

namespace flexgemm::tune {

namespace {

using cli::fail;

class TuneCommand final : public Command {
 public:
  explicit TuneCommand(CLI::App& program) {
    app = program.add_subcommand("tune", "measure kernels for layers and keep the fastest");
    layer_.declare(*app, /*scene=*/true);
    const auto add = [this](const char* names, std::string& target, const char* what, const char* form) {
      app->add_option(names, target, what)->type_name(form)->capture_default_str();
    };
    add("--device", device_, "cuda:N, or all: every GPU side by side", "DEVICE");
    add("--budget", budget_, "most that one layer may take, compilation included; 0: no limit", "SECONDS");
    add("--jobs", jobs_, "worker processes that compile; 0: one a processor", "N");
    add("--candidates", candidates_, "kernels to try for a layer, the best predicted first; 0: all", "N");
    app->add_flag("--force", force_, "tune also what the cache has a result for");
    flags_.declare(*app);
  }

  const char* notes() const override {
    return R"(
Layers are described by flags or by a network's file, and measured on a scan, on a generated scene, or without
either on a synthetic one with as many voxels and pairs as described. Kernels are compiled in worker processes,
checked against a reference on sampled rows (a wrong one never wins) and timed. What the cache holds is skipped,
so that a run that was ended goes on where it stopped. "gain" is over what runs untuned.

GPUs of one model share the layers; each model tunes all of them for itself.

Examples
  flexgemm-tune tune --op forward --ci 64 --co 64 --kernel 3 --n 100000 --pairs-per-voxel 6.3 --dtype f16
  flexgemm-tune tune sphere:256 --ci 256 --co 256
  flexgemm-tune tune scan.pcd --voxel-size 0.05 --net net.json --budget 5
  flexgemm-tune tune --net net.json --device all --jobs 32 --json > tuned.json
)";
  }

  int run() override {
    TuneJob job = parse();
    const std::vector<LayerOutcome> outcomes = [&] {
      const cli::ProgressLine line;
      load_scene(job, line);
      return run_tuning(job, [&line](const std::string& text) { line.show(text); });
    }();
    if (flags_.json()) {
      print_json(tune_json(job, outcomes));
    } else {
      cli::print(tune_table(job, outcomes));
    }
    for (const LayerOutcome& outcome : outcomes) {
      if (outcome.state == LayerOutcome::State::failed) return cli::exit_verification_failed;
    }
    return cli::exit_ok;
  }

 private:
  TuneJob parse() const {
    TuneJob job;
    job.layers = layer_.layers();
    job.cache = flags_.options();
    const std::vector<double> budget = cli::parse_numbers("--budget", budget_);
    if (budget.size() != 1 || budget[0] < 0) {
      fail(ErrorCode::invalid_argument, "--budget is '{}'; it must be a number of seconds, 0 or more",
           budget_);
    }
    job.budget_seconds = budget[0];
    job.jobs = static_cast<int>(cli::parse_integer("--jobs", jobs_, 0, 1024));
    job.most_candidates = static_cast<int>(cli::parse_integer("--candidates", candidates_, 0, 100000));
    job.force = force_;
    layer_.voxel_size();  // checked before anything is opened
    job.devices = devices();
    return job;
  }

  std::vector<Device> devices() const {
    if (device_ != "all") {
      const Device device = Device::parse(device_);
      if (device.is_cpu()) fail(ErrorCode::invalid_argument, "--device is 'cpu', which has nothing to tune");
      return {device};
    }
    std::vector<Device> all;
    for (int ordinal = 0; ordinal < cuda_device_count(); ++ordinal) all.push_back(Device::cuda(ordinal));
    if (all.empty()) {
      fail(ErrorCode::no_device,
           "--device is 'all', but this machine has no usable GPU; flexgemm-tune doctor says why");
    }
    return all;
  }

  void load_scene(TuneJob& job, const cli::ProgressLine& line) const {
    if (layer_.scene().empty()) return;
    line.show("reading the scene ...");
    const cli::SceneSource source = cli::parse_scene_source(layer_.scene());
    if (source.kind == cli::SceneSource::Kind::sphere) {
      job.scene = scene::sphere_scene(source.resolution);
    } else {
      const double size = layer_.voxel_size();
      job.scene =
          scene::voxelize(source.kind == cli::SceneSource::Kind::lidar ? scene::lidar_scan(source.seed)
                                                                       : scene::read_point_cloud(source.path),
                          {.voxel_size = {size, size, size}});
    }
    if (job.scene->voxels() == 0) fail(ErrorCode::io, "{}: has no voxels to measure on", layer_.scene());
  }

  LayerOptions layer_;
  CacheFlags flags_;
  std::string device_ = "cuda:0";
  std::string budget_ = "10";
  std::string jobs_ = "0";
  std::string candidates_ = "24";
  bool force_ = false;
};

}  // namespace

CommandPointer make_tune_command(CLI::App& program) { return std::make_unique<TuneCommand>(program); }

}  // namespace flexgemm::tune
