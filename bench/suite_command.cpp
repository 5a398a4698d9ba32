#include <filesystem>
#include <memory>

#include <fmt/format.h>

#include <flexgemm/error.hpp>

#include "commands.hpp"
#include "results.hpp"
#include "suite.hpp"
#include "suite_scenes.hpp"
#include "tables.hpp"

namespace flexgemm::bench {

namespace {

constexpr int exit_failed_rows = 1;

struct SuiteArguments {
  std::string device = "auto";
  bool quick = false;
  int threads = 0;
  SceneArguments scenes;
  std::vector<std::string> dtypes;
  bool float_gradients = false;
  std::string baseline;
  std::string commit;
  std::string out;
  bool markdown = false;
  std::vector<std::string> all;  ///< the command line
};

Device device_of(const std::string& text) {
  if (text != "auto") return Device::parse(text);
  return cuda_device_count() > 0 ? Device::cuda(0) : Device::cpu();
}

SuiteOptions options_of(const SuiteArguments& arguments) {
  SuiteOptions options;
  options.device = device_of(arguments.device);
  options.quick = arguments.quick;
  options.threads = arguments.threads;
  options.float_gradients = arguments.float_gradients;
  options.scenes = scene_requests(arguments.scenes, options.device.is_cpu(), arguments.quick);
  std::vector<std::string> dtypes = arguments.dtypes;
  if (dtypes.empty()) {
    if (options.device.is_cpu()) {
      dtypes =
          arguments.quick ? std::vector<std::string>{"f32"} : std::vector<std::string>{"f32", "f16", "bf16"};
    } else {
      dtypes = arguments.quick ? std::vector<std::string>{"f16"}
                               : std::vector<std::string>{"f16", "bf16", "tf32", "f32"};
    }
  }
  for (const std::string& dtype : dtypes) options.dtypes.push_back(parse_dtype(dtype));
  return options;
}

int run(const SuiteArguments& arguments) {
  const SuiteOptions options = options_of(arguments);
  const Baseline baseline = arguments.baseline.empty() ? Baseline() : Baseline::read(arguments.baseline);
  if (!arguments.out.empty())
    std::filesystem::create_directories(arguments.out);  // before minutes of measuring
  const auto device = open_measuring_device(options.device, options.threads);
  device->sample_ceilings();
  nlohmann::ordered_json results = new_results(options, arguments.all, *device);
  if (!arguments.commit.empty()) results["commit"] = arguments.commit;
  if (!baseline.system().empty()) results["baseline"] = baseline.system();

  const auto finish = [&] {
    for (const std::string& note : device->ceilings().notes) results["notes"].push_back(note);
    results["device_at_end"] = device->description();
    results["ceilings"] = ceilings_json(*device);
    for (nlohmann::ordered_json& row : results["rows"])
      complete_row(row, results["ceilings"], baseline, options.device.is_cpu());
    if (arguments.out.empty()) return;
    const std::string path = (std::filesystem::path(arguments.out) /
                              (options.device.is_cpu() ? "suite-cpu.json" : "suite-cuda.json"))
                                 .string();
    write_results(results, path);
    fmt::print(stderr, "results in {}\n", path);
  };
  try {
    run_suite(
        options, *device, [&](nlohmann::ordered_json row) { results["rows"].push_back(std::move(row)); },
        [&](const std::string& note) { results["notes"].push_back(note); });
    device->sample_ceilings();
  } catch (const std::exception& error) {
    results["incomplete"] = error.what();  // what was measured until then is kept
    finish();
    throw;
  }
  finish();
  fmt::print("{}", results_tables(results, arguments.markdown));
  for (const nlohmann::ordered_json& row : results["rows"]) {
    if (row.contains("failed")) return exit_failed_rows;
  }
  return 0;
}

}  // namespace

void declare_suite(CLI::App& app, Command& command, int argc, char** argv) {
  const auto arguments = std::make_shared<SuiteArguments>();
  arguments->all.assign(argv + 1, argv + argc);
  CLI::App* suite =
      app.add_subcommand("suite", "Measure passes, maps and networks against ceilings and limits");
  suite->add_option("--device", arguments->device, "auto (the first GPU, else the CPU), cpu, cuda:N")
      ->capture_default_str();
  suite->add_flag("--quick", arguments->quick, "A small scene, one type, few repetitions: does it run?");
  suite->add_option("--threads", arguments->threads, "Threads of the CPU backend; 0: all processors")
      ->check(CLI::NonNegativeNumber);
  declare_scene_arguments(*suite, arguments->scenes);
  suite->add_option("--dtype", arguments->dtypes, "Types, such as f16,f32")
      ->delimiter(',')
      ->check(CLI::IsMember({"f32", "tf32", "f16", "bf16"}));
  suite->add_flag("--float-gradients", arguments->float_gradients,
                  "Weight gradients of 16-bit layers in f32, not in the layer's type as the baseline's");
  suite
      ->add_option("--baseline", arguments->baseline, "Times to compare with, such as bench/baselines/*.json")
      ->check(CLI::ExistingFile);
  suite->add_option("--commit", arguments->commit,
                    "The commit to name in the results instead of the build's");
  suite->add_option("--out", arguments->out, "Folder for suite-cpu.json or suite-cuda.json");
  suite->add_flag("--markdown", arguments->markdown, "Print the tables as Markdown");
  suite->callback([arguments, &command] { command = [arguments] { return run(*arguments); }; });
}

void declare_ceilings(CLI::App& app, Command& command) {
  struct Arguments {
    std::string device = "auto";
    bool markdown = false;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* ceilings =
      app.add_subcommand("ceilings", "Measure what the device can do at best, and nothing else");
  ceilings->add_option("--device", arguments->device, "auto (the first GPU, else the CPU), cpu, cuda:N")
      ->capture_default_str();
  ceilings->add_flag("--markdown", arguments->markdown, "Print the table as Markdown");
  ceilings->callback([arguments, &command] {
    command = [arguments] {
      const auto device = open_measuring_device(device_of(arguments->device), 0);
      for (int half = 0; half < 2; ++half) device->sample_ceilings();
      fmt::print("{}\n\n{}", device->description().dump(),
                 ceilings_table(ceilings_json(*device), arguments->markdown));
      for (const std::string& note : device->ceilings().notes) fmt::print("\nNote: {}\n", note);
      return 0;
    };
  });
}

}  // namespace flexgemm::bench
