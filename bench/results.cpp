#include "results.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <flexgemm/error.hpp>
#include <flexgemm/version.hpp>

#include "bench_commit.hpp"
#include "statistics.hpp"

namespace flexgemm::bench {

namespace {

constexpr const char* format_name = "flexgemm-bench 1";

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string("unknown");
}

nlohmann::ordered_json series_json(const MeasuringDevice& device, const std::vector<double>& samples) {
  const auto half = static_cast<std::ptrdiff_t>(samples.size() / 2);
  const std::vector<double> first(samples.begin(), samples.end() - half);
  const std::vector<double> last(samples.end() - std::max<std::ptrdiff_t>(half, 1), samples.end());
  return {{"used", device.ceiling_of(samples)},
          {"first_half", summarize(first).median},
          {"last_half", summarize(last).median},
          {"samples", samples.size()}};
}

double time_of(const nlohmann::ordered_json& row) {
  const char* key = row.contains("graph_ms") ? "graph_ms" : "call_ms";
  return row.contains(key) ? row[key]["median"].get<double>() : 0;
}

}  // namespace

nlohmann::ordered_json new_results(const SuiteOptions& options, const std::vector<std::string>& arguments,
                                   MeasuringDevice& device) {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return {{"format", format_name},
          {"device", device.description()},
          {"on_cpu", options.device.is_cpu()},
          {"machine",
           {{"host", host_name()},
            {"processors", std::thread::hardware_concurrency()},
            {"date", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now))}}},
          {"version", version()},
          {"commit", FLEXGEMM_BENCH_COMMIT},
          {"options", {{"arguments", arguments}, {"quick", options.quick}, {"threads", options.threads}}},
          {"ceilings", nullptr},
          {"notes", nlohmann::ordered_json::array()},
          {"rows", nlohmann::ordered_json::array()}};
}

nlohmann::ordered_json ceilings_json(const MeasuringDevice& device) {
  const Ceilings& ceilings = device.ceilings();
  nlohmann::ordered_json result{{"matrix_tflops", nlohmann::ordered_json::object()}};
  for (const auto& [dtype, samples] : ceilings.matrix_tflops) {
    if (!samples.empty()) result["matrix_tflops"][dtype] = series_json(device, samples);
  }
  if (!ceilings.copy_gigabytes.empty())
    result["copy_gigabytes"] = series_json(device, ceilings.copy_gigabytes);
  return result;
}

void complete_row(nlohmann::ordered_json& row, const nlohmann::ordered_json& ceilings,
                  const Baseline& baseline, bool on_cpu) {
  if (row.contains("failed")) return;
  const double ms = time_of(row);
  const double flop = row["flop"].get<double>();
  const auto dtype = row["dtype"].get<std::string>();
  double matrix_ms = 0;
  if (ms > 0 && flop > 0) row["useful_tflops"] = flop / ms / 1e9;
  if (ceilings["matrix_tflops"].contains(dtype) && flop > 0) {
    const double tflops = ceilings["matrix_tflops"][dtype]["used"].get<double>();
    matrix_ms = flop / tflops / 1e9;
    if (on_cpu) {
      row["percent_of_sgemm"] = 100 * matrix_ms / row["call_ms"]["min"].get<double>();
    } else if (ms > 0) {
      row["percent_of_ceiling"] = 100 * matrix_ms / ms;
    }
  }
  // Without a matrix ceiling the limit of a pass is unknown, not lower.
  if (ceilings.contains("copy_gigabytes") && (matrix_ms > 0 || flop == 0)) {
    const double copy_ms =
        row["least_bytes"].get<double>() / ceilings["copy_gigabytes"]["used"].get<double>() / 1e6;
    row["limit_ms"] = std::max(matrix_ms, copy_ms);
    row["limited_by"] = matrix_ms >= copy_ms ? "arithmetic" : "bytes";
    if (ms > 0) row["percent_of_limit"] = 100 * row["limit_ms"].get<double>() / ms;
  }
  baseline.add_ratios(row);
}

void write_results(const nlohmann::ordered_json& results, const std::string& path) {
  const std::filesystem::path temporary = path + ".part";
  std::ofstream file(temporary);
  file << results.dump(1) << '\n';
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(temporary, path, error);
  if (!file || error) throw Error(ErrorCode::io, fmt::format("the results could not be written to {}", path));
}

nlohmann::ordered_json read_results(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Error(ErrorCode::io, fmt::format("{} cannot be opened", path));
  try {
    nlohmann::ordered_json results = nlohmann::ordered_json::parse(file);
    if (results.at("format") != format_name || !results.at("rows").is_array())
      throw std::runtime_error("it does not say that it is of the format " + std::string(format_name));
    return results;
  } catch (const std::exception& error) {
    throw Error(ErrorCode::io, fmt::format("{} is not the results of a suite: {}", path, error.what()));
  }
}

}  // namespace flexgemm::bench
