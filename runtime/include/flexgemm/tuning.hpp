#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <flexgemm/conv3d.hpp>
#include <flexgemm/dtype.hpp>

namespace flexgemm {

/// When a context measures kernels instead of predicting their times.
enum class TuningPolicy : std::uint8_t {
  never,    ///< never: what was tuned before is used, else the nearest tuned shape, else the cost model
  on_miss,  ///< the first pass over a shape that was never tuned tunes it, within the budget
  force,    ///< the first pass over a shape in this context tunes it, whatever was stored
};

/// "never", "on_miss", "force".
FLEXGEMM_API const char* name(TuningPolicy policy) noexcept;
/// Inverse of `name`. Throws Error{invalid_argument} for any other text.
FLEXGEMM_API TuningPolicy parse_tuning_policy(std::string_view text);

/// How a context tunes (ContextOptions::tuning). Only CUDA devices tune; the CPU backend has nothing to
/// choose.
struct TuningOptions {
  TuningPolicy policy = TuningPolicy::never;
  /// Seconds that one shape may take, compilation included; <= 0: no limit. What has been measured by then
  /// decides.
  double budget_seconds = 10;
  /// Worker processes that compile; 0: one a processor that the process may use, at most 16.
  int jobs = 0;
};

/// What a tuned pass will look like apart from the layer and the map: it is part of what a result is stored
/// for.
struct TunePass {
  Op op = Op::forward;
  std::optional<DType> bias{};    ///< type of forward's bias, none for a pass without one
  std::optional<DType> result{};  ///< type of grad_weight's result: f32 or the storage type; none: f32
};

/// One way to compute the pass.
struct CandidateReport {
  KernelChoice choice;      ///< what Conv3d::choice would say
  double predicted_ms = 0;  ///< by the cost model
  double measured_ms = 0;   ///< median of `samples`; 0: was not timed
  double least_ms = 0;      ///< least of them
  int samples = 0;
  double error = -1;         ///< relative error on the sampled rows; -1: was not checked
  std::string disqualified;  ///< why it cannot win, as a sentence; empty: it can
};

/// Where tuning stands, for progress bars. Handed to TuneRequest::progress from the calling thread.
struct TuneProgress {
  int candidates = 0;                       ///< that are to be tried
  int compiled = 0;                         ///< or failed to compile
  int measured = 0;                         ///< or disqualified
  double seconds = 0;                       ///< since the start
  const CandidateReport* latest = nullptr;  ///< what has just been measured; null: a compilation ended
  const CandidateReport* leader = nullptr;  ///< the best so far; null: none yet
};

/// What Conv3d::tune is asked.
struct TuneRequest {
  TunePass pass{};
  double budget_seconds = 10;  ///< as TuningOptions; <= 0: no limit
  int jobs = 0;                ///< as TuningOptions
  /// Candidates to try, the best predicted first; 0: all of them, each with as many samples as the leader.
  int most_candidates = 24;
  /// What to try instead of the library's candidates: choices as reports, the log and `Conv3d::choice` name
  /// them, or of one's own. Each must serve the pass, else Conv3d::tune throws Error{invalid_argument}.
  std::vector<KernelChoice> choices{};
  bool store = true;                                    ///< keep the winner in the context's tuning store
  std::function<void(const TuneProgress&)> progress{};  ///< may be empty; may throw, which ends tuning
  std::function<bool()> cancelled{};  ///< asked between steps: true ends tuning, with what is known by then
};

/// Why tuning ended.
enum class TuneEnd : std::uint8_t {
  complete,   ///< every candidate was tried, or the leader was clear
  budget,     ///< the budget ran out
  cancelled,  ///< TuneRequest::cancelled said so
};

/// "complete", "budget", "cancelled".
FLEXGEMM_API const char* name(TuneEnd end) noexcept;

/// What Conv3d::tune found.
struct TuneReport {
  std::vector<CandidateReport> candidates;  ///< measured ones by time, then the others by prediction
  /// Position of the winner: 0, or none if no candidate could be measured.
  std::optional<std::size_t> winner;
  /// Position of what would have run untuned.
  std::optional<std::size_t> predicted;
  double predicted_choice_ms = 0;  ///< measured time of that one; 0: was not timed
  TuneEnd end = TuneEnd::complete;
  double seconds = 0;
  bool stored = false;  ///< the winner is in the tuning store
};

}  // namespace flexgemm
