#include "compile_pool.hpp"

#include <chrono>
#include <cstdio>
#include <memory>
#include <stdexcept>

#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "codegen/emit.hpp"
#include "nvrtc_library.hpp"

namespace flexgemm::test {

namespace {

using codegen::KernelSpec;
using Json = nlohmann::json;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

CompileOutcome compile(const NvrtcLibrary& nvrtc, const KernelSpec& spec) {
  // As the runtime compiles (runtime/cuda/nvrtc.cpp).
  const std::vector<std::string> options{"--gpu-architecture=" + to_string(spec.architecture), "--std=c++20",
                                         "--fmad=true", "--ptxas-options=-v"};
  const auto begin = std::chrono::steady_clock::now();
  const NvrtcLibrary::Result result = nvrtc.compile(codegen::emit(spec), options);
  CompileOutcome outcome;
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (result.compiled) outcome.report = parse_ptxas_report(result.log);
  if (!outcome.report) outcome.log = result.log;
  return outcome;
}

Json to_json(std::size_t index, const CompileOutcome& outcome) {
  const PtxasReport report = outcome.report.value_or(PtxasReport{});
  return {{"index", index},
          {"reported", outcome.report.has_value()},
          {"registers", report.registers},
          {"stack", report.stack_bytes},
          {"spill_stores", report.spill_store_bytes},
          {"spill_loads", report.spill_load_bytes},
          {"serialized", report.serialized},
          {"seconds", outcome.seconds},
          {"log", outcome.log}};
}

CompileOutcome from_json(const Json& line) {
  CompileOutcome outcome;
  if (line.at("reported").get<bool>()) {
    outcome.report = PtxasReport{line.at("registers"), line.at("stack"), line.at("spill_stores"),
                                 line.at("spill_loads"), line.at("serialized")};
  }
  outcome.seconds = line.at("seconds");
  outcome.log = line.at("log");
  return outcome;
}

/// The work of one process: every jobs-th spec, one line of JSON each.
int work(const std::vector<KernelSpec>& specs, std::size_t first, std::size_t jobs, std::FILE* results) {
  std::string looked_for;
  const std::optional<NvrtcLibrary> nvrtc = NvrtcLibrary::open(looked_for);
  if (!nvrtc) return 1;
  for (std::size_t index = first; index < specs.size(); index += jobs) {
    const std::string line =
        to_json(index, compile(*nvrtc, specs[index])).dump(-1, ' ', true, Json::error_handler_t::replace) +
        "\n";
    if (std::fwrite(line.data(), 1, line.size(), results) != line.size()) return 1;
  }
  return std::fflush(results) == 0 ? 0 : 1;
}

std::string read_all(std::FILE* file) {
  std::string text;
  std::rewind(file);
  char buffer[65536];
  while (const std::size_t count = std::fread(buffer, 1, sizeof(buffer), file)) text.append(buffer, count);
  return text;
}

void read_results(std::FILE* file, std::vector<CompileOutcome>& outcomes) {
  std::string text = read_all(file);
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const Json line = Json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                                  text.begin() + static_cast<std::ptrdiff_t>(end));
    outcomes.at(line.at("index").get<std::size_t>()) = from_json(line);
  }
}

}  // namespace

std::string nvrtc_absence() {
  std::string looked_for;
  if (NvrtcLibrary::open(looked_for)) return {};
  return "NVRTC was not found (looked for " + looked_for + ").";
}

std::vector<CompileOutcome> compile_all(const std::vector<KernelSpec>& specs, int jobs) {
  struct Worker {
    pid_t process;
    File results;
  };
  std::vector<Worker> workers;
  std::fflush(nullptr);
  for (int job = 0; job < jobs; ++job) {
    File results(std::tmpfile());
    if (!results) throw std::runtime_error("no temporary file for a worker's results can be made");
    const pid_t process = fork();
    if (process < 0) throw std::runtime_error("a worker process cannot be started");
    if (process == 0)
      _exit(work(specs, static_cast<std::size_t>(job), static_cast<std::size_t>(jobs), results.get()));
    workers.push_back({process, std::move(results)});
  }
  std::vector<CompileOutcome> outcomes(specs.size());
  bool all_finished = true;
  for (const Worker& worker : workers) {
    int status = 0;
    waitpid(worker.process, &status, 0);
    all_finished &= WIFEXITED(status) && WEXITSTATUS(status) == 0;
    read_results(worker.results.get(), outcomes);
  }
  if (!all_finished) throw std::runtime_error("a compile worker died before it had compiled its share");
  return outcomes;
}

}  // namespace flexgemm::test
