#include "tune/tune_report.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "common/text_table.hpp"

namespace flexgemm::tune {

namespace {

/// What a row says, wherever it comes from.
struct Summary {
  std::string winner;
  Algorithm algorithm = Algorithm::automatic;
  int splits = 1;
  double winner_ms = 0;  ///< 0: unknown
  std::string runner_up;
  double runner_up_ms = 0;
  std::string choice;  ///< what runs untuned
  double choice_ms = 0;
};

Summary summary_of(const LayerOutcome& outcome) {
  Summary summary;
  if (outcome.state == LayerOutcome::State::tuned) {
    const TuneReport& report = outcome.report;
    const CandidateReport& winner = report.candidates[*report.winner];
    summary.winner = winner.choice.kernel;
    summary.algorithm = winner.choice.algorithm;
    summary.splits = winner.choice.splits;
    summary.winner_ms = winner.measured_ms;
    const std::size_t second = *report.winner + 1;
    if (second < report.candidates.size() && report.candidates[second].samples > 0 &&
        report.candidates[second].disqualified.empty()) {
      summary.runner_up = report.candidates[second].choice.kernel;
      summary.runner_up_ms = report.candidates[second].measured_ms;
    }
    if (report.predicted) summary.choice = report.candidates[*report.predicted].choice.kernel;
    summary.choice_ms = report.predicted_choice_ms;
  } else if (outcome.entry) {
    const TuningEntry& entry = *outcome.entry;
    summary.winner = entry.winner.kernel;
    summary.algorithm = entry.winner.algorithm;
    summary.splits = entry.winner.splits;
    summary.winner_ms = entry.winner.measured_ms.value_or(0);
    if (entry.runner_up) {
      summary.runner_up = entry.runner_up->kernel;
      summary.runner_up_ms = entry.runner_up->measured_ms.value_or(0);
    }
  }
  return summary;
}

std::string or_dash(double milliseconds) {
  return milliseconds > 0 ? fmt::format("{:.4f}", milliseconds) : "-";
}

Json or_null(double milliseconds) { return milliseconds > 0 ? Json(milliseconds) : Json(nullptr); }

Json kernel_json(const std::string& kernel, double milliseconds) {
  if (kernel.empty()) return nullptr;
  return {{"kernel", kernel}, {"ms", or_null(milliseconds)}};
}

/// The part of a spec that candidates differ in: the tile and what follows to the vectors.
std::string tile_words(const std::string& spec) {
  const std::size_t begin = spec.find(".t");
  const std::size_t end = spec.find(".vec");
  if (begin == std::string::npos || end == std::string::npos || end < begin) return spec;
  return spec.substr(begin + 1, end - begin - 1);
}

}  // namespace

std::string tune_table(const TuneJob& job, const std::vector<LayerOutcome>& outcomes) {
  cli::TextTable table({"shape", "voxels", "pairs", "device", "state", "winner", "ms", "runner-up", "ms",
                        "default ms", "gain"},
                       1);
  std::string problems;
  std::string winners;
  for (const LayerOutcome& outcome : outcomes) {
    const LayerRequest& layer = job.layers[outcome.layer];
    LayerRequest shape = layer;
    shape.voxels = 0;
    const Summary summary = summary_of(outcome);
    const bool gain = summary.choice_ms > 0 && summary.winner_ms > 0;
    const std::string split = summary.splits > 1 ? fmt::format(" /{}", summary.splits) : "";
    table.add({describe(shape), outcome.voxels > 0 ? fmt::format("{}", outcome.voxels) : "-",
               outcome.voxels > 0 ? fmt::format("{:.2f}", static_cast<double>(outcome.pairs) /
                                                              static_cast<double>(outcome.voxels))
                                  : "-",
               outcome.device, name(outcome.state),
               summary.winner.empty() ? "-" : tile_words(summary.winner) + split, or_dash(summary.winner_ms),
               summary.runner_up.empty() ? "-" : tile_words(summary.runner_up), or_dash(summary.runner_up_ms),
               or_dash(summary.choice_ms),
               gain ? fmt::format("{:.2f}x", summary.choice_ms / summary.winner_ms) : "-"});
    if (!summary.winner.empty()) {
      winners += fmt::format("{} {}{}\n", name(summary.algorithm), summary.winner, split);
    }
    if (outcome.state == LayerOutcome::State::failed) {
      problems += fmt::format("failed: {}: {}\n", describe(layer), outcome.problem);
    } else if (outcome.state == LayerOutcome::State::tuned && !outcome.report.stored) {
      problems += fmt::format(
          "not stored: {}: the cache could not be written; flexgemm-tune doctor says why\n", describe(layer));
    }
  }
  std::string text = table.text();
  if (!winners.empty()) text += "\nwinners\n" + winners;
  if (!problems.empty()) text += "\n" + problems;
  return text;
}

Json tune_json(const TuneJob& job, const std::vector<LayerOutcome>& outcomes) {
  Json layers = Json::array();
  bool complete = true;
  for (const LayerOutcome& outcome : outcomes) {
    const Summary summary = summary_of(outcome);
    Json object = layer_json(job.layers[outcome.layer]);
    object["voxels"] = outcome.voxels;
    object["pairs"] = outcome.pairs;
    object["model"] = outcome.model;
    object["device"] = outcome.device;
    object["state"] = name(outcome.state);
    object["winner"] = kernel_json(summary.winner, summary.winner_ms);
    if (!summary.winner.empty()) {
      object["winner"]["algorithm"] = name(summary.algorithm);
      object["winner"]["splits"] = summary.splits;
    }
    object["runner_up"] = kernel_json(summary.runner_up, summary.runner_up_ms);
    object["default"] = kernel_json(summary.choice, summary.choice_ms);
    const bool gain = summary.choice_ms > 0 && summary.winner_ms > 0;
    object["gain"] = gain ? Json(summary.choice_ms / summary.winner_ms) : Json(nullptr);
    if (outcome.state == LayerOutcome::State::tuned) {
      const auto& candidates = outcome.report.candidates;
      object["candidates"] = candidates.size();
      object["measured"] =
          std::count_if(candidates.begin(), candidates.end(),
                        [](const CandidateReport& candidate) { return candidate.samples > 0; });
      object["seconds"] = outcome.report.seconds;
      object["end"] = name(outcome.report.end);
      object["stored"] = outcome.report.stored;
    }
    object["problem"] = outcome.problem.empty() ? Json(nullptr) : Json(outcome.problem);
    complete &= outcome.state == LayerOutcome::State::tuned || outcome.state == LayerOutcome::State::stored;
    layers.push_back(std::move(object));
  }
  return {{"complete", complete}, {"layers", std::move(layers)}};
}

}  // namespace flexgemm::tune
