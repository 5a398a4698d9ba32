// flexgemm-bench: measures the library. One subcommand a job.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <flexgemm/error.hpp>

#include "suite.hpp"

namespace {

using flexgemm::bench::SuiteOptions;

constexpr int exit_ok = 0;
constexpr int exit_usage = 2;
constexpr int exit_failure = 3;

/// Writes to a temporary file and renames it, so that no reader ever sees half of the results.
void write_results(const nlohmann::json& results, const std::filesystem::path& folder) {
  const std::filesystem::path target = folder / "suite-cpu.json";
  const std::filesystem::path temporary = folder / "suite-cpu.json.part";
  std::ofstream file(temporary);
  file << results.dump(2) << '\n';
  file.close();
  if (!file)
    throw flexgemm::Error(flexgemm::ErrorCode::io, fmt::format("could not write {}", temporary.string()));
  std::filesystem::rename(temporary, target);
  fmt::print("results in {}\n", target.string());
}

/// What the suite command was asked, as CLI11 fills it in.
struct SuiteCommand {
  std::string device = "cpu";
  std::string out;
  std::vector<double> voxel_size;
  std::vector<double> range;
  SuiteOptions options;
};

void add_suite_command(CLI::App& app, SuiteCommand& command) {
  SuiteOptions& options = command.options;
  CLI::App* suite = app.add_subcommand("suite", "Measure maps and layers and write the results as JSON");
  suite->add_option("--device", command.device, "Device to measure")
      ->check(CLI::IsMember({"cpu"}))
      ->capture_default_str();
  suite->add_flag("--quick", options.quick, "A small scene and few repetitions: does it run?");
  suite->add_option("--threads", options.threads, "Threads of the CPU backend; 0: all processors")
      ->check(CLI::NonNegativeNumber);
  suite->add_option("--scan", options.scans, "Scan to measure instead of spheres; may be repeated")
      ->check(CLI::ExistingFile);
  suite->add_option("--voxel-size", command.voxel_size, "Metres: one number, or x,y,z")
      ->delimiter(',')
      ->expected(1, 3);
  suite->add_option("--range", command.range, "Metres: x,y,z,x,y,z of the lower and the upper corner")
      ->delimiter(',')
      ->expected(6);
  suite->add_option("--channels", options.channels, "Channels of the layers, such as 32,64")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20));
  suite->add_option("--dtype", options.dtypes, "Types, such as f32,f16")
      ->delimiter(',')
      ->check(CLI::IsMember({"f32", "tf32", "f16", "bf16"}));
  suite->add_option("--out", command.out, "Folder for suite-cpu.json")->required();
}

void run_suite(SuiteCommand& command) {
  if (command.voxel_size.size() == 2)
    throw CLI::ValidationError("--voxel-size", "takes one number or three, separated by commas");
  flexgemm::scene::VoxelizeOptions& voxelize = command.options.voxelize;
  for (std::size_t axis = 0; axis < 3 && !command.voxel_size.empty(); ++axis)
    voxelize.voxel_size[axis] = command.voxel_size[command.voxel_size.size() == 3 ? axis : 0];
  if (!command.range.empty()) {
    const std::vector<double>& r = command.range;
    voxelize.range = flexgemm::scene::Range{{r[0], r[1], r[2]}, {r[3], r[4], r[5]}};
  }
  std::filesystem::create_directories(command.out);  // before minutes of measuring
  write_results(flexgemm::bench::run_cpu_suite(command.options), command.out);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures FlexGEMM on this machine, against ceilings measured in the same run.",
               "flexgemm-bench");
  app.footer(
      "Exit codes: 0 ok, 2 bad usage, 3 a file or a measurement failed.\n"
      "Example: flexgemm-bench suite --device cpu --scan scan.npz --voxel-size 0.1 "
      "--range=-80,-80,-2,80,80,6 --channels 32,64 --out results");
  app.require_subcommand(1);
  SuiteCommand suite;
  add_suite_command(app, suite);
  try {
    app.parse(argc, argv);
    run_suite(suite);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_ok : exit_usage;
  } catch (const std::exception& error) {
    fmt::print(stderr, "flexgemm-bench: {}\n", error.what());
    return exit_failure;
  }
  return exit_ok;
}
