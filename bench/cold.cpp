#include "cold.hpp"

#include <filesystem>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include <flexgemm/error.hpp>

#include "row.hpp"
#include "statistics.hpp"
#include "subprocess.hpp"
#include "table.hpp"

namespace flexgemm::bench {

namespace {

using Json = nlohmann::ordered_json;

enum class CacheState { empty, full, full_without_nvrtc };

const char* title(CacheState state) {
  switch (state) {
    case CacheState::empty:
      return "empty cache";
    case CacheState::full:
      return "full cache";
    case CacheState::full_without_nvrtc:
      break;
  }
  return "full cache, no NVRTC";
}

std::map<std::string, std::string> environment_of(const ColdOptions& options, CacheState state,
                                                  const std::string& folder) {
  // The driver's own cache of compiled PTX must not stand in for the library's.
  std::map<std::string, std::string> environment{{"FLEXGEMM_CACHE_DIR", folder + "/flexgemm"},
                                                 {"CUDA_CACHE_PATH", folder + "/driver"}};
  if (state == CacheState::full_without_nvrtc) environment["LD_AUDIT"] = options.hide_nvrtc;
  return environment;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

/// Stages of the same name in several runs of the program: "layer 1 first call" and the like, milliseconds.
void collect_stages(const std::string& output, std::map<std::string, std::vector<double>>& stages) {
  const Json report = Json::parse(output, nullptr, false);
  if (!report.is_object() || !report.contains("stages")) return;
  for (const Json& stage : report["stages"])
    stages[stage["name"].get<std::string>()].push_back(stage["ms"].get<double>());
}

bool is_empty_folder(const std::string& path) {
  std::error_code error;
  return !std::filesystem::exists(path, error) || std::filesystem::is_empty(path, error);
}

class ColdStart {
 public:
  explicit ColdStart(const ColdOptions& options) : options_(options) {}

  Json measure() {
    add_state(CacheState::empty);
    const bool started = !states_.front().contains("failed");
    if (started && is_empty_folder(folder_->path() + "/flexgemm"))
      notes_.push_back(
          "flexgemm-run left nothing in FLEXGEMM_CACHE_DIR: nothing was cached, and every start was a cold "
          "one");
    if (!started) return results();
    add_state(CacheState::full);
    if (options_.hide_nvrtc.empty()) {
      notes_.push_back("no start without NVRTC: the module that hides it was not built");
    } else {
      add_state(CacheState::full_without_nvrtc);
    }
    notes_.push_back(
        "nothing is tuned: the first call of a layer holds its choice, its compilation or loading, and its "
        "layout; "
        "flexgemm-bench tuning measures tuning time a layer");
    return results();
  }

 private:
  Json results() const {
    return {{"options",
             {{"scene", options_.scene},
              {"channels", options_.channels},
              {"dtype", options_.dtype},
              {"device", options_.device},
              {"repeat", options_.repeat}}},
            {"states", states_},
            {"notes", notes_}};
  }

  void add_state(CacheState state) {
    const std::vector<std::string> command{
        options_.run_program, options_.scene, "--device",     options_.device, "--channels",
        options_.channels,    "--dtype",      options_.dtype, "--json"};
    std::vector<double> seconds;
    std::map<std::string, std::vector<double>> stages;
    DriverStarts driver;
    for (int run = 0; run < options_.repeat; ++run) {
      // The last empty folder, once filled, is the full one.
      if (state == CacheState::empty) folder_ = std::make_unique<TemporaryFolder>();
      const auto environment = environment_of(options_, state, folder_->path());
      if (measures_driver()) add_driver_start(environment, driver);
      const ProcessResult process = run_process(command, environment);
      if (process.exit_code != 0) {
        states_.push_back({{"state", title(state)}, {"failed", first_line(process.errors)}});
        return;
      }
      seconds.push_back(process.seconds);
      collect_stages(process.output, stages);
    }
    Json entry{{"state", title(state)}, {"seconds", summary_json(summarize(seconds))}};
    for (const auto& [stage, times] : stages) entry["stages_ms"][stage] = summarize(times).median;
    if (!driver.seconds.empty()) {
      const Summary alone = summarize(driver.seconds);
      entry["driver_seconds"] = summary_json(alone);
      for (const auto& [stage, times] : driver.stages)
        entry["driver_stages_ms"][stage] = summarize(times).median;
      entry["beyond_driver_seconds"] = summarize(seconds).median - alone.median;
    }
    states_.push_back(std::move(entry));
  }

  /// Starts of the program that does no more than open the driver.
  struct DriverStarts {
    std::vector<double> seconds;
    std::map<std::string, std::vector<double>> stages;
  };

  bool measures_driver() const {
    return !options_.driver_start.empty() && !driver_failed_ && options_.device.starts_with("cuda:");
  }

  void add_driver_start(const std::map<std::string, std::string>& environment, DriverStarts& driver) {
    const std::string ordinal = options_.device.substr(options_.device.find(':') + 1);
    const ProcessResult process = run_process({options_.driver_start, ordinal}, environment);
    if (process.exit_code != 0) {
      driver_failed_ = true;
      driver = {};
      notes_.push_back("the driver's share is not known: " + first_line(process.errors));
      return;
    }
    driver.seconds.push_back(process.seconds);
    collect_stages(process.output, driver.stages);
  }

  const ColdOptions& options_;
  std::unique_ptr<TemporaryFolder> folder_ = std::make_unique<TemporaryFolder>();
  Json states_ = Json::array();
  std::vector<std::string> notes_;
  bool driver_failed_ = false;
};

}  // namespace

Json measure_cold_start(const ColdOptions& options) { return ColdStart(options).measure(); }

std::string cold_start_text(const Json& results, bool markdown) {
  const Json& options = results["options"];
  std::string text =
      fmt::format("Process start to results: flexgemm-run {} --channels {} --dtype {} --device {}\n\n",
                  options["scene"].get<std::string>(), options["channels"].get<std::string>(),
                  options["dtype"].get<std::string>(), options["device"].get<std::string>());
  Table table({"state", "s", "min", "driver alone s", "cuInit ms", "context ms", "beyond driver s", "map ms",
               "layer 1, first call ms"},
              1);
  for (const Json& state : results["states"]) {
    const auto name = state["state"].get<std::string>();
    if (state.contains("failed")) {
      table.add({name, "-", "-", "-", "-", "-", "-", "-", "-"});
      text += fmt::format("{}: not measurable: {}\n", name, state["failed"].get<std::string>());
      continue;
    }
    const auto number = [](const Json& in, const char* key, int digits) {
      return in.is_object() && in.contains(key) ? fmt::format("{:.{}f}", in[key].get<double>(), digits)
                                                : std::string("-");
    };
    const auto part = [&](const char* key) { return state.contains(key) ? state[key] : Json(); };
    const Json stages = part("stages_ms");
    const Json driver_stages = part("driver_stages_ms");
    table.add({name, number(state["seconds"], "median", 3), number(state["seconds"], "min", 3),
               number(part("driver_seconds"), "median", 3), number(driver_stages, "cuInit", 1),
               number(driver_stages, "context", 1), number(state, "beyond_driver_seconds", 3),
               number(stages, "map", 1), number(stages, "layer 1 first call", 1)});
  }
  text += table.text(markdown);
  for (const Json& note : results["notes"]) text += fmt::format("\nNote: {}\n", note.get<std::string>());
  return text;
}

}  // namespace flexgemm::bench
