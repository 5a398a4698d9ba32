#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "codegen/kernel_spec.hpp"
#include "emulator/experiments.hpp"
#include "emulator/mistakes.hpp"
#include "emulator/specs.hpp"
#include "scene/temporary_folder.hpp"

// flexgemm-emulate-test: generated kernels on a model of the GPU, against float64, without a GPU.

namespace {

using flexgemm::codegen::KernelSpec;
using flexgemm::emulator::Mistake;
using flexgemm::emulator::Verdict;
using flexgemm::emulator::Workshop;

std::string running;  // what the handler reports

void on_bad_access(int) {
  const char text[] = "FAILED a kernel touched memory outside its buffers: ";
  (void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
  (void)!write(STDOUT_FILENO, running.data(), running.size());
  (void)!write(STDOUT_FILENO, "\n", 1);
  _exit(1);
}

Verdict verdict_on(const KernelSpec& spec, const Workshop& workshop, int rounds, std::uint64_t seed) {
  running = to_string(spec);
  try {
    return flexgemm::emulator::examine(spec, workshop, rounds, seed);
  } catch (const std::exception& error) {
    return {.error = 0, .fault = error.what()};
  }
}

bool examine_and_report(const KernelSpec& spec, const Workshop& workshop, int rounds, std::uint64_t seed,
                        bool verbose) {
  const auto begin = std::chrono::steady_clock::now();
  const Verdict verdict = verdict_on(spec, workshop, rounds, seed);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!verdict.fault.empty()) {
    fmt::print("FAILED {} (seed {}): {}\n", running, seed, verdict.fault);
  } else if (verbose) {
    fmt::print("ok {} error {:.2e}, {:.2f} s\n", running, verdict.error, seconds);
  }
  std::cout.flush();
  return verdict.fault.empty();
}

std::string contents(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// Whether the model finds the mistake, under one of a few schedules, in a copy of the templates that has it.
bool finds(const Mistake& mistake, const std::filesystem::path& folder, std::uint64_t seed) {
  const std::filesystem::path templates = folder / "templates";
  std::filesystem::remove_all(templates);
  std::filesystem::copy(FLEXGEMM_TEMPLATES, templates, std::filesystem::copy_options::recursive);
  std::string text = contents(templates / mistake.file);
  const std::size_t at = text.find(mistake.original);
  if (at == std::string::npos || text.find(mistake.original, at + 1) != std::string::npos) {
    fmt::print("FAILED {}: {} does not hold once: {}\n", mistake.name, mistake.file, mistake.original);
    return false;
  }
  text.replace(at, std::strlen(mistake.original), mistake.changed);
  std::ofstream(templates / mistake.file) << text;
  constexpr int rounds = 20;
  const KernelSpec spec = flexgemm::codegen::parse_spec(mistake.spec);
  const Verdict right = verdict_on(spec, {FLEXGEMM_TEMPLATES, folder}, 2, seed);
  const Verdict wrong = verdict_on(spec, {templates, folder}, rounds, seed);
  const bool found = right.fault.empty() && !wrong.fault.empty() &&
                     wrong.fault.find("compiler refuses") == std::string::npos &&
                     wrong.fault.find(mistake.symptom) != std::string::npos;
  fmt::print("{} {}: {}\n", found ? "found" : "FAILED", mistake.name,
             !right.fault.empty()  ? "without it: " + right.fault
             : wrong.fault.empty() ? "nothing was found"
                                   : wrong.fault.substr(0, wrong.fault.find('\n')));
  std::cout.flush();
  return found;
}

int find_mistakes(const std::filesystem::path& folder, std::uint64_t seed) {
  int missed = 0;
  for (const Mistake& mistake : flexgemm::emulator::planted_mistakes())
    missed += !finds(mistake, folder, seed);
  fmt::print("{} planted, {} not found\n", flexgemm::emulator::planted_mistakes().size(), missed);
  return missed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Runs generated kernels on a model of the GPU and compares them with float64"};
  std::string text, architecture, shard = "0/1", filter;
  int rounds = 2;
  std::uint64_t seed = 1;
  bool verbose = false;
  bool list = false;
  bool mistakes = false;
  app.add_option("--spec", text, "one spec instead of the list");
  app.add_option("--arch", architecture, "only specs of this architecture");
  app.add_option("--filter", filter, "only specs whose text contains this");
  app.add_option("--shard", shard, "I/N: the I-th of N equal parts")->capture_default_str();
  app.add_option("--rounds", rounds, "runs a spec, each under its own schedule")->capture_default_str();
  app.add_option("--seed", seed, "of data and schedules")->capture_default_str();
  app.add_flag("--verbose", verbose, "a line for every spec");
  app.add_flag("--list", list, "print the specs");
  app.add_flag("--mistakes", mistakes, "instead, plant mistakes in the templates: the model must find each");
  CLI11_PARSE(app, argc, argv);
  try {
    std::vector<KernelSpec> specs = text.empty() ? flexgemm::emulator::emulated_specs()
                                                 : std::vector{flexgemm::codegen::parse_spec(text)};
    std::erase_if(specs, [&](const KernelSpec& spec) {
      return (!architecture.empty() && to_string(spec.architecture) != architecture) ||
             to_string(spec).find(filter) == std::string::npos;
    });
    int part = 0, parts = 1;
    if (std::sscanf(shard.c_str(), "%d/%d", &part, &parts) != 2 || parts < 1 || part < 0 || part >= parts)
      throw std::invalid_argument("--shard takes I/N with 0 <= I < N, not " + shard);
    if (list) {
      for (const KernelSpec& spec : specs) fmt::print("{}\n", to_string(spec));
      return 0;
    }
    signal(SIGSEGV, on_bad_access);
    const TemporaryFolder folder;
    if (mistakes) return find_mistakes(folder.path(), seed);
    const Workshop workshop{FLEXGEMM_TEMPLATES, folder.path()};
    int passed = 0, failed = 0;
    for (std::size_t i = static_cast<std::size_t>(part); i < specs.size();
         i += static_cast<std::size_t>(parts))
      ++(examine_and_report(specs[i], workshop, rounds, seed + i, verbose) ? passed : failed);
    fmt::print("{} passed, {} failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "flexgemm-emulate-test: {}\n", error.what());
    return 2;
  }
}
