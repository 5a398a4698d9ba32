// flexgemm-bench: measures the library. One subcommand a job.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include <flexgemm/error.hpp>

#include "cold.hpp"
#include "commands.hpp"
#include "diff.hpp"
#include "results.hpp"
#include "tables.hpp"

namespace flexgemm::bench {

namespace {

constexpr int exit_slower = 1;
constexpr int exit_usage = 2;
constexpr int exit_failure = 3;

/// The file beside this program; empty if there is none. Programs that were built but not installed lie in
/// folders of their own.
std::string beside_this_program(const std::string& name, const std::string& build_folder) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  for (const std::filesystem::path& path :
       {self.parent_path() / name, self.parent_path().parent_path() / build_folder / name}) {
    if (!error && std::filesystem::exists(path)) return path.string();
  }
  return {};
}

int run_cold(ColdOptions& options, const std::string& out, bool markdown) {
  if (options.run_program.empty()) options.run_program = beside_this_program("flexgemm-run", "cli");
  if (options.run_program.empty()) {
    throw Error(ErrorCode::io, "flexgemm-run was not found beside flexgemm-bench; name it with --run PATH");
  }
  options.driver_start = beside_this_program("flexgemm-driver-start", "bench");
  options.hide_nvrtc = beside_this_program("flexgemm_hide_nvrtc.so", "bench");
  const nlohmann::ordered_json results = measure_cold_start(options);
  if (!out.empty()) {
    std::filesystem::create_directories(out);
    write_results(results, (std::filesystem::path(out) / "cold.json").string());
  }
  fmt::print("{}", cold_start_text(results, markdown));
  return results["states"].empty() || results["states"][0].contains("failed") ? exit_failure : 0;
}

}  // namespace

void declare_cold(CLI::App& app, Command& command) {
  struct Arguments {
    ColdOptions options;
    std::string out;
    bool markdown = false;
  };
  const auto arguments = std::make_shared<Arguments>();
  ColdOptions& options = arguments->options;
  CLI::App* cold =
      app.add_subcommand("cold", "Measure flexgemm-run from process start to results, cache empty and full");
  cold->add_option("--run", options.run_program, "Path of flexgemm-run; default: beside this program");
  cold->add_option("--scene", options.scene, "As flexgemm-run takes it")->capture_default_str();
  cold->add_option("--channels", options.channels, "As flexgemm-run takes them")->capture_default_str();
  cold->add_option("--dtype", options.dtype, "f32, tf32, f16 or bf16")->capture_default_str();
  cold->add_option("--device", options.device, "cuda:N or cpu")->capture_default_str();
  cold->add_option("--repeat", options.repeat, "Starts of each kind")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  cold->add_option("--out", arguments->out, "Folder for cold.json");
  cold->add_flag("--markdown", arguments->markdown, "Print the table as Markdown");
  cold->callback([arguments, &command] {
    command = [arguments] { return run_cold(arguments->options, arguments->out, arguments->markdown); };
  });
}

void declare_diff(CLI::App& app, Command& command) {
  struct Arguments {
    std::string before;
    std::string after;
    bool all = false;
    bool fail_slower = false;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* diff = app.add_subcommand("diff", "Say which differences of two runs exceed their spread");
  diff->add_option("BEFORE", arguments->before, "Results of a suite")->required()->check(CLI::ExistingFile);
  diff->add_option("AFTER", arguments->after, "Results of a suite")->required()->check(CLI::ExistingFile);
  diff->add_flag("--all", arguments->all, "Print differences within the spread as well");
  diff->add_flag("--fail-slower", arguments->fail_slower,
                 "Exit with 1 if anything became slower beyond the spread");
  diff->callback([arguments, &command] {
    command = [arguments] {
      const Comparison comparison = compare(read_results(arguments->before), read_results(arguments->after));
      fmt::print("{}", comparison_text(comparison, arguments->all));
      return arguments->fail_slower && comparison.any_slower() ? exit_slower : 0;
    };
  });
}

void declare_tables(CLI::App& app, Command& command) {
  struct Arguments {
    std::string results;
    bool markdown = false;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* tables = app.add_subcommand("tables", "Print the tables of results again, without measuring");
  tables->add_option("RESULTS", arguments->results, "Results of a suite")
      ->required()
      ->check(CLI::ExistingFile);
  tables->add_flag("--markdown", arguments->markdown, "Print the tables as Markdown");
  tables->callback([arguments, &command] {
    command = [arguments] {
      fmt::print("{}", results_tables(read_results(arguments->results), arguments->markdown));
      return 0;
    };
  });
}

}  // namespace flexgemm::bench

int main(int argc, char** argv) {
  namespace bench = flexgemm::bench;
  CLI::App app("Measures FlexGEMM on this machine, against ceilings measured in the same run.",
               "flexgemm-bench");
  app.footer(
      "Exit codes: 0 ok, 1 a row failed or (diff --fail-slower) something became slower, 2 bad usage,\n"
      "3 a file or the whole measurement failed.\n"
      "Example: flexgemm-bench suite --device cuda:0 --scan scan.npz --voxel-size 0.1 "
      "--range=-80,-80,-2,80,80,6 \\\n  --baseline bench/baselines/flexgemm-h200.json --out results");
  app.require_subcommand(1);
  bench::Command command;
  bench::declare_suite(app, command, argc, argv);
  bench::declare_diff(app, command);
  bench::declare_tables(app, command);
  bench::declare_ceilings(app, command);
  bench::declare_cold(app, command);
  bench::declare_tuning(app, command);
  try {
    app.parse(argc, argv);
    return command();
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : bench::exit_usage;
  } catch (const flexgemm::Error& error) {
    fmt::print(stderr, "flexgemm-bench: {}\n", error.what());
    return error.code() == flexgemm::ErrorCode::invalid_argument ? bench::exit_usage : bench::exit_failure;
  } catch (const std::exception& error) {
    fmt::print(stderr, "flexgemm-bench: {}\n", error.what());
    return bench::exit_failure;
  }
}
