// flexgemm-compile-test: compiles kernel specs of one architecture with NVRTC, which needs no GPU, and reads
// ptxas' report. Exit codes: 0 all compiled, no default choice spills and no product of wgmma waits for
// another, 1 not so, 4 skipped for want of NVRTC.

#include <algorithm>
#include <cstdio>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "compile_pool.hpp"
#include "spec_sets.hpp"

namespace {

using flexgemm::codegen::KernelSpec;
using flexgemm::test::CompileOutcome;
using flexgemm::test::SpecSet;

constexpr int exit_failed = 1;
constexpr int exit_skipped = 4;

struct Options {
  std::string architecture = "sm_80";
  std::string set = "candidates";
  std::string shard = "0/1";
  std::string filter;
  int jobs = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  bool list = false;
};

SpecSet those_with(const SpecSet& set, const std::string& text) {
  SpecSet part;
  for (std::size_t i = 0; i < set.specs.size(); ++i) {
    if (to_string(set.specs[i]).find(text) == std::string::npos) continue;
    part.specs.push_back(set.specs[i]);
    part.is_default.push_back(set.is_default[i]);
  }
  return part;
}

SpecSet every_nth(const SpecSet& set, std::size_t first, std::size_t step) {
  SpecSet part;
  for (std::size_t i = first; i < set.specs.size(); i += step) {
    part.specs.push_back(set.specs[i]);
    part.is_default.push_back(set.is_default[i]);
  }
  return part;
}

SpecSet chosen_specs(const Options& options) {
  const auto architecture = flexgemm::codegen::parse_architecture(options.architecture);
  std::size_t first = 0;
  std::size_t count = 0;
  if (std::sscanf(options.shard.c_str(), "%zu/%zu", &first, &count) != 2 || first >= count) {
    throw CLI::ValidationError("--shard", "expected I/N with I < N, found " + options.shard);
  }
  constexpr std::size_t sample_step = 8;
  SpecSet set = options.set == "defaults" ? flexgemm::test::default_specs(architecture)
                                          : flexgemm::test::candidate_specs(architecture);
  set = those_with(set, options.filter);
  if (options.set == "sample") set = every_nth(set, 0, sample_step);
  return every_nth(set, first, count);
}

struct Totals {
  int failed = 0;
  int spilling = 0;
  int spilling_defaults = 0;
  int serialized = 0;
  int most_registers = 0;
  double seconds = 0;
};

Totals report(const SpecSet& set, const std::vector<CompileOutcome>& outcomes, bool list) {
  Totals totals;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const std::string text = to_string(set.specs[i]);
    totals.seconds += outcomes[i].seconds;
    if (!outcomes[i].report) {
      ++totals.failed;
      fmt::print("FAILED {}\n{}\n", text, outcomes[i].log);
      continue;
    }
    const auto& ptxas = *outcomes[i].report;
    totals.most_registers = std::max(totals.most_registers, ptxas.registers);
    if (ptxas.uses_local_memory()) {
      ++totals.spilling;
      totals.spilling_defaults += set.is_default[i] ? 1 : 0;
    }
    if (ptxas.serialized) {
      ++totals.serialized;
      fmt::print("SERIALIZED {}: ptxas lets its wgmma products run one after the other\n", text);
    }
    if (list || ptxas.uses_local_memory()) {
      fmt::print("{}{} {} registers, {} B stack, {} B spill stores, {} B spill loads, {:.2f} s{}\n",
                 ptxas.uses_local_memory() ? "LOCAL MEMORY " : "", text, ptxas.registers, ptxas.stack_bytes,
                 ptxas.spill_store_bytes, ptxas.spill_load_bytes, outcomes[i].seconds,
                 set.is_default[i] ? ", a default" : "");
    }
  }
  return totals;
}

int run(const Options& options) {
  const SpecSet set = chosen_specs(options);
  if (const std::string absence = flexgemm::test::nvrtc_absence(); !absence.empty()) {
    fmt::print("skipped: {}\n", absence);
    return exit_skipped;
  }
  const Totals totals = report(set, flexgemm::test::compile_all(set.specs, options.jobs), options.list);
  fmt::print("{:<12} {:>6} {:>8} {:>10} {:>13} {:>8} {:>16} {:>6}\n", "architecture", "specs", "defaults",
             "compile s", "max registers", "spilling", "default spilling", "failed");
  fmt::print("{:<12} {:>6} {:>8} {:>10.1f} {:>13} {:>8} {:>16} {:>6}\n", options.architecture,
             set.specs.size(), std::count(set.is_default.begin(), set.is_default.end(), true), totals.seconds,
             totals.most_registers, totals.spilling, totals.spilling_defaults, totals.failed);
  return totals.failed > 0 || totals.spilling_defaults > 0 || totals.serialized > 0 || set.specs.empty()
             ? exit_failed
             : 0;
}

}  // namespace

int main(int argument_count, char** arguments) {
  Options options;
  CLI::App app("Compiles kernel specs with NVRTC and reads ptxas' report");
  app.add_option("--arch", options.architecture, "architecture, such as sm_90a")->capture_default_str();
  app.add_option("--set", options.set, "what to compile")
      ->check(CLI::IsMember({"defaults", "candidates", "sample"}))
      ->capture_default_str();
  app.add_option("--filter", options.filter, "only specs whose text contains this");
  app.add_option("--shard", options.shard, "I/N: the I-th of N equal parts")->capture_default_str();
  app.add_option("--jobs", options.jobs, "worker processes")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--list", options.list, "print every spec with its registers");
  try {
    app.parse(argument_count, arguments);
    return run(options);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    fmt::print(stderr, "flexgemm-compile-test: {}\n", error.what());
    return exit_failed;
  }
}
