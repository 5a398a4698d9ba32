#include "run/report.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/text_table.hpp"

namespace flexgemm::run {

using cli::with_separators;

namespace {

std::string times(const Extent3& extent) { return fmt::format("{}x{}x{}", extent.x, extent.y, extent.z); }

double mebibytes(std::size_t bytes) { return static_cast<double>(bytes) / 0x1p20; }

std::string gflops_or_dash(const std::optional<double>& gflops) {
  return gflops ? fmt::format("{:.1f}", *gflops) : "-";
}

class Table {
 public:
  std::string text;

  template <class... Arguments>
  void line(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(text), format, std::forward<Arguments>(arguments)...);
    text += '\n';
  }
};

void add_scene(Table& table, const RunOptions& options, const RunResult& result) {
  table.line("device           {}", result.device);
  table.line("scene            {}", options.scene);
  table.line("layers           kernel {}, dilation {}, {}, seed {}", times(options.map.kernel),
             times(options.map.dilation), name(options.dtype), options.seed);
  table.line("");
  table.line("points read      {:>14}", with_separators(result.points));
  table.line("  dropped        {:>14}  NaN or infinite", with_separators(result.dropped_not_finite));
  table.line("  dropped        {:>14}  out of range", with_separators(result.dropped_out_of_range));
  table.line("voxels           {:>14}", with_separators(result.voxels));
  table.line("pairs            {:>14}", with_separators(result.pairs));
  table.line("pairs per voxel  {:>14.2f}", result.pairs_per_voxel());
}

/// "layer 2: 32 -> 64 masked_implicit_gemm" for layers, the stage's own name for the rest.
std::string row_title(const Stage& stage, const std::vector<LayerResult>& layers, std::size_t& next_layer) {
  if (next_layer >= layers.size() || stage.name != fmt::format("layer {}", next_layer + 1)) return stage.name;
  const LayerResult& layer = layers[next_layer++];
  return fmt::format("{}: {} -> {} {}", stage.name, layer.in_channels, layer.out_channels,
                     name(layer.choice.algorithm));
}

void add_stages(Table& table, const RunResult& result) {
  std::vector<std::string> titles;
  std::size_t next_layer = 0;
  std::size_t width = 24;
  for (const Stage& stage : result.stages) {
    titles.push_back(row_title(stage, result.layers, next_layer));
    width = std::max(width, titles.back().size());
  }
  table.line("{:<{}}  {:>12}  {:>9}  {:>24}", "", width, "", "useful", "peak memory, MiB");
  table.line("{:<{}}  {:>12}  {:>9}  {:>11}  {:>11}", "stage", width, "time, ms", "GFLOP/s", "device",
             "process");
  for (std::size_t row = 0; row < titles.size(); ++row) {
    const Stage& stage = result.stages[row];
    table.line("{:<{}}  {:>12.3f}  {:>9}  {:>11.1f}  {:>11.1f}", titles[row], width, stage.milliseconds,
               gflops_or_dash(stage.gflops), mebibytes(stage.device_peak_bytes),
               mebibytes(stage.process_peak_bytes));
  }
}

void add_verification(Table& table, const Verification& verification, std::int64_t voxels) {
  const double largest =
      verification.layer_errors.empty()
          ? 0.0
          : *std::max_element(verification.layer_errors.begin(), verification.layer_errors.end());
  table.line(
      "verified         {}: {} of {} rows, {} wrong map entries, largest relative error {:.2e} (bound "
      "{:.0e})",
      verification.passed() ? "yes" : "NO", with_separators(verification.rows), with_separators(voxels),
      with_separators(verification.map_mismatches), largest, verification.tolerance);
}

nlohmann::ordered_json stages_json(const RunResult& result) {
  auto stages = nlohmann::ordered_json::array();
  for (const Stage& stage : result.stages) {
    stages.push_back({{"name", stage.name},
                      {"ms", stage.milliseconds},
                      {"peak_memory_bytes", stage.device_peak_bytes},
                      {"peak_process_bytes", stage.process_peak_bytes}});
  }
  return stages;
}

nlohmann::ordered_json layers_json(const RunResult& result) {
  auto layers = nlohmann::ordered_json::array();
  for (const LayerResult& layer : result.layers) {
    layers.push_back({{"ci", layer.in_channels},
                      {"co", layer.out_channels},
                      {"algorithm", name(layer.choice.algorithm)},
                      {"kernel", layer.choice.kernel},
                      {"ms", layer.milliseconds},
                      {"gflops", layer.gflops.value_or(0)}});
  }
  return layers;
}

nlohmann::ordered_json extent_json(const Extent3& extent) {
  return nlohmann::ordered_json::array({extent.x, extent.y, extent.z});
}

}  // namespace

std::string table(const RunOptions& options, const RunResult& result) {
  Table table;
  add_scene(table, options, result);
  table.line("");
  add_stages(table, result);
  table.line("");
  if (result.verification) add_verification(table, *result.verification, result.voxels);
  table.line("peak memory      {:.1f} MiB on the device, {:.1f} MiB of the process",
             mebibytes(result.device_peak_bytes), mebibytes(result.process_peak_bytes));
  return std::move(table.text);
}

std::string json(const RunOptions& options, const RunResult& result) {
  nlohmann::ordered_json object{
      {"version", flexgemm::version()},
      {"device", result.device},
      {"scene", options.scene},
      {"dtype", name(options.dtype)},
      {"kernel", extent_json(options.map.kernel)},
      {"dilation", extent_json(options.map.dilation)},
      {"seed", options.seed},
      {"repeat", options.repeat},
      {"points", result.points},
      {"dropped_not_finite", result.dropped_not_finite},
      {"dropped_out_of_range", result.dropped_out_of_range},
      {"voxels", result.voxels},
      {"pairs", result.pairs},
      {"pairs_per_voxel", result.pairs_per_voxel()},
      {"stages", stages_json(result)},
      {"layers", layers_json(result)},
      {"peak_memory_bytes", result.device_peak_bytes},
      {"peak_process_bytes", result.process_peak_bytes},
      {"verify", nullptr},
      {"verified", nullptr},
      {"verified_rows", nullptr},
      {"map_mismatches", nullptr},
      {"tolerance", nullptr},
  };
  if (result.verification) {
    const Verification& verification = *result.verification;
    object["verify"] = verification.layer_errors;
    object["verified"] = verification.passed();
    object["verified_rows"] = verification.rows;
    object["map_mismatches"] = verification.map_mismatches;
    object["tolerance"] = verification.tolerance;
  }
  using Json = nlohmann::ordered_json;
  return object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace flexgemm::run
