#include "tuning.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include <fmt/format.h>

#include "table.hpp"

namespace flexgemm::bench {

namespace {

using Json = nlohmann::ordered_json;

std::string words(const KernelChoice& choice) {
  const std::string groups = choice.groups > 1 ? fmt::format("/{}", choice.groups) : std::string();
  return fmt::format("{} {}{} {}", name(choice.algorithm), choice.splits, groups, choice.kernel);
}

Json json_of(const CandidateReport& candidate) {
  return {{"choice", words(candidate.choice)},
          {"predicted_ms", candidate.predicted_ms},
          {"measured_ms", candidate.measured_ms},
          {"samples", candidate.samples},
          {"error", candidate.error},
          {"disqualified", candidate.disqualified}};
}

Json row_of(const TuneReport& report) {
  Json row;
  row["seconds"] = report.seconds;
  row["end"] = name(report.end);
  if (report.winner) {
    row["winner"] = words(report.candidates.front().choice);
    row["winner_ms"] = report.candidates.front().measured_ms;
  }
  if (report.predicted) row["model"] = words(report.candidates[*report.predicted].choice);
  row["model_ms"] = report.predicted_choice_ms;
  row["candidates"] = Json::array();
  for (const CandidateReport& candidate : report.candidates) row["candidates"].push_back(json_of(candidate));
  return row;
}

NeighborMap map_of(const Context& context, const scene::VoxelScene& scene) {
  const Buffer coords = context.allocate(scene.coords.size() * sizeof(std::int32_t));
  context.copy_to_device(coords.data(), scene.coords.data(), coords.bytes());
  return context.submanifold_map({coords.data(), DType::i32, {scene.voxels(), 4}}, scene.grid);
}

/// Geometric mean of the model's time over the winner's.
double mean_ratio(const Json& rows) {
  double sum = 0;
  int count = 0;
  for (const Json& row : rows) {
    if (!row.contains("ratio")) continue;
    sum += std::log(row["ratio"].get<double>());
    ++count;
  }
  return count == 0 ? 0 : std::exp(sum / count);
}

std::string cell(const Json& row, const char* key, const char* format) {
  return row.contains(key) ? fmt::format(fmt::runtime(format), row[key].get<double>()) : "-";
}

/// "masked_implicit_gemm 1 implicit_gemm.f16.wgmma.ci64..." as "masked_implicit_gemm 1 wgmma
/// t64x64x64.s3...": what differs between the candidates of a layer.
std::string short_words(const std::string& text) {
  const std::size_t kernel = text.rfind(' ') + 1;
  const std::size_t volume = text.find(".v", kernel);
  const std::size_t tile = volume == std::string::npos ? volume : text.find(".t", volume);
  const std::size_t vectors = text.find(".vec", kernel);
  if (tile == std::string::npos || vectors == std::string::npos) return text;
  const std::size_t type = text.find('.', kernel);
  const std::size_t mma = text.find('.', type + 1) + 1;
  return text.substr(0, kernel) + text.substr(kernel, type - kernel) + "." +
         text.substr(mma, text.find('.', mma) - mma) + text.substr(tile, vectors - tile);
}

/// Tunes one pass, and tries all candidates for it if it is among those asked for.
void tune_row(const TuningBenchOptions& options, const Conv3d& conv, const NeighborMap& map, Op op,
              Json& row) {
  TuneRequest tune;
  tune.pass.op = op;
  if (op == Op::forward) tune.pass.bias = storage_type(conv.options().dtype);
  tune.budget_seconds = options.budget_seconds;
  tune.jobs = options.jobs;
  tune.most_candidates = options.most_candidates;
  tune.store = false;
  for (const KernelChoice& choice : options.choices) {
    if (is_for(choice, conv.options().in_channels, conv.options().dtype, op)) tune.choices.push_back(choice);
  }
  row.update(row_of(conv.tune(map, tune)));
  if (row.contains("winner_ms") && row["model_ms"].get<double>() > 0) {
    row["ratio"] = row["model_ms"].get<double>() / row["winner_ms"].get<double>();
  }
  const std::string title =
      fmt::format("{} {}", row["scene"].get<std::string>(), row["dtype"].get<std::string>());
  const bool asked =
      std::find(options.exhaustive.begin(), options.exhaustive.end(), title) != options.exhaustive.end();
  if (!asked || op != Op::forward) return;
  tune.most_candidates = 0;
  tune.budget_seconds = 0;
  row["exhaustive"] = row_of(conv.tune(map, tune));
}

}  // namespace

bool is_for(const KernelChoice& choice, std::int64_t channels, DType dtype, Op op) {
  const std::string& kernel = choice.kernel;
  const auto has = [&kernel](const std::string& words) { return kernel.find(words) != std::string::npos; };
  const bool gradient = has("grad_weight.");
  return has(fmt::format(".{}.", name(dtype))) && has(fmt::format(".ci{0}.co{0}.", channels)) &&
         gradient == (op == Op::grad_weight) &&
         (gradient || has(".partial.") || (op == Op::forward) == !has(".bias0."));
}

KernelChoice parse_choice(const std::string& words) {
  // A line of the log has its words before and behind.
  const std::size_t options = words.find("--algorithm ");
  std::istringstream stream(options == std::string::npos ? words : words.substr(options));
  std::string algorithm, counts = "1", rest;
  KernelChoice choice;
  if (options == std::string::npos) {
    stream >> algorithm >> counts >> choice.kernel >> rest;
  } else {
    std::string groups;
    for (std::string key; stream >> key && key.starts_with("--");) {
      stream >> (key == "--algorithm" ? algorithm
                 : key == "--splits"  ? counts
                 : key == "--groups"  ? groups
                 : key == "--spec"    ? choice.kernel
                                      : rest);
    }
    if (!groups.empty()) counts += "/" + groups;
  }
  char* end = nullptr;
  choice.splits = static_cast<int>(std::strtol(counts.c_str(), &end, 10));
  if (*end == '/') choice.groups = static_cast<int>(std::strtol(end + 1, &end, 10));
  if (choice.kernel.empty() || !rest.empty() || *end != '\0' || choice.splits < 1 || choice.groups < 1) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("\"{}\" is no choice; write ALGORITHM SPLITS[/GROUPS] KERNEL, such as "
                    "\"masked_implicit_gemm 1 implicit_gemm.f16...\", or a line of FLEXGEMM_VERBOSE=1",
                    words));
  }
  choice.algorithm = parse_algorithm(algorithm);
  return choice;
}

Json measure_tuning(const TuningBenchOptions& options) {
  ContextOptions context_options;
  context_options.cache.enabled = false;  // cold, whatever was tuned or compiled before
  const Context context = Context::open(options.device, context_options);
  Json results;
  results["device"] = context.description();
  results["rows"] = Json::array();
  for (const SceneRequest& request : options.scenes) {
    const scene::VoxelScene scene = load_scene(request).get();
    const NeighborMap map = map_of(context, scene);
    for (const std::int64_t channels : request.channels) {
      for (const DType dtype : options.dtypes) {
        const Conv3d conv =
            context.conv3d({.in_channels = channels, .out_channels = channels, .dtype = dtype});
        for (const Op op : options.ops) {
          Json row{
              {"scene", request.name}, {"channels", channels}, {"dtype", name(dtype)}, {"pass", name(op)}};
          const bool wanted =
              options.choices.empty() ||
              std::any_of(options.choices.begin(), options.choices.end(),
                          [&](const KernelChoice& choice) { return is_for(choice, channels, dtype, op); });
          if (!wanted) continue;
          tune_row(options, conv, map, op, row);
          results["rows"].push_back(std::move(row));
        }
      }
    }
  }
  results["mean_ratio"] = mean_ratio(results["rows"]);
  return results;
}

std::string tuning_text(const Json& results, bool markdown) {
  Table table({"scene", "C", "type", "pass", "winner", "model's choice", "s", "tried", "winner ms",
               "model ms", "model/winner"},
              6);
  std::string notes;
  for (const Json& row : results["rows"]) {
    const auto tried = std::count_if(row["candidates"].begin(), row["candidates"].end(),
                                     [](const Json& one) { return one["samples"].get<int>() > 0; });
    table.add({row["scene"].get<std::string>(), fmt::format("{}", row["channels"].get<std::int64_t>()),
               row["dtype"].get<std::string>(), row["pass"].get<std::string>(),
               short_words(row.value("winner", "-")), short_words(row.value("model", "-")),
               cell(row, "seconds", "{:.1f}"), fmt::format("{}", tried), cell(row, "winner_ms", "{:.4f}"),
               cell(row, "model_ms", "{:.4f}"), cell(row, "ratio", "{:.3f}")});
    for (const Json& candidate : row["candidates"]) {
      const auto why = candidate["disqualified"].get<std::string>();
      if (!why.empty())
        notes += fmt::format("\nDisqualified: {}: {}\n", candidate["choice"].get<std::string>(), why);
    }
    if (row.contains("exhaustive")) {
      const Json& all = row["exhaustive"];
      notes += fmt::format(
          "\nAll {} candidates for {} C = {} {}: {:.1f} s, best {} {:.4f} ms; tuning found {:.4f} ms\n",
          all["candidates"].size(), row["scene"].get<std::string>(), row["channels"].get<std::int64_t>(),
          row["dtype"].get<std::string>(), all["seconds"].get<double>(),
          short_words(all.value("winner", "-")), all.value("winner_ms", 0.0), row.value("winner_ms", 0.0));
    }
  }
  return fmt::format("{}\n\n{}\nThe cost model's choice over the tuned one, geometric mean: {:.3f}\n{}",
                     results["device"].get<std::string>(), table.text(markdown),
                     results["mean_ratio"].get<double>(), notes);
}

}  // namespace flexgemm::bench
