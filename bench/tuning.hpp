#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <flexgemm/flexgemm.hpp>

#include "scenes.hpp"

namespace flexgemm::bench {

struct TuningBenchOptions {
  Device device = Device::cuda(0);
  std::vector<SceneRequest> scenes;
  std::vector<DType> dtypes;
  std::vector<Op> ops{Op::forward};
  double budget_seconds = 10;
  int jobs = 0;
  int most_candidates = 24;
  /// Scene and type, such as "sphere:256 f16", whose forward pass all candidates are tried for as well.
  std::vector<std::string> exhaustive;
  /// Choices to time instead of the library's candidates, as tables and the log name them; each on the rows
  /// whose type, channels and pass it has. Rows without one are left out.
  std::vector<KernelChoice> choices;
};

/// Reads "ALGORITHM SPLITS[/GROUPS] KERNEL", or the options in a line of the log: "... --algorithm A
/// --splits N [--groups N] --spec KERNEL (...)". Throws Error{invalid_argument}.
KernelChoice parse_choice(const std::string& words);

/// Whether a choice's kernel is one for a pass of a layer of so many channels to as many: by the words of its
/// text. Forward has a bias here, other passes have none; partial sums have none in any pass.
bool is_for(const KernelChoice& choice, std::int64_t channels, DType dtype, Op op);

/// Tunes the passes of every scene's layers, cold, and says how long it took, what won, and how far
/// from it the cost model alone would have been. Returns {"device", "rows": [{"scene", "channels", "dtype",
/// "pass", "seconds", "winner", "winner_ms", "model", "model_ms", "ratio", "candidates": [...]}],
/// "mean_ratio"}.
nlohmann::ordered_json measure_tuning(const TuningBenchOptions& options);

/// For a terminal, or as Markdown.
std::string tuning_text(const nlohmann::ordered_json& results, bool markdown);

}  // namespace flexgemm::bench
