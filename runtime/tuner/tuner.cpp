#include "tuner/tuner.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "core/fail.hpp"

namespace flexgemm::detail {

namespace {

constexpr int first_samples = 3;
constexpr int more_samples = 4;
constexpr int most_samples = 31;
/// Within this of the leader after the first samples: worth more of them.
constexpr double near_leader = 1.10;
/// Within this at the end: in the final, where contenders are timed in turn.
constexpr double in_final = 1.04;
constexpr std::size_t most_finalists = 4;
/// A corrected prediction so far above the leader is not tried.
constexpr double hopeless = 1.25;
/// Measurements after which predictions can be corrected.
constexpr std::size_t least_measured = 4;
/// How long the tuner waits for a kernel before it looks at the clock and at `cancelled` again.
constexpr std::chrono::milliseconds patience(20);

double median_of(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// One run: what is known, and what is to be done next.
class Run {
 public:
  Run(const std::vector<TunerCandidate>& candidates, TunerCompiler& compiler, TunerDevice& device,
      const TunerLimits& limits, const TunerHooks& hooks)
      : candidates_(candidates), compiler_(compiler), device_(device), limits_(limits), hooks_(hooks) {
    outcome_.measurements.resize(candidates.size());
    done_.assign(candidates.size(), false);
    start_ = now();
  }

  TunerOutcome finish() {
    request_kernels();
    while (!ended() && !all_done()) {
      collect(next_ready() ? std::chrono::milliseconds(0) : patience);
      if (const auto candidate = next_ready()) try_out(*candidate);
    }
    if (!limits_.exhaustive) decide_final();
    outcome_.seconds = now() - start_;
    return std::move(outcome_);
  }

 private:
  double now() const {
    if (hooks_.clock) return hooks_.clock();
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }

  void request_kernels() {
    for (const TunerCandidate& candidate : candidates_) {
      for (const std::size_t kernel : candidate.kernels) {
        if (kernels_.emplace(kernel, KernelState{}).second) compiler_.request(kernel);
      }
    }
  }

  /// Whether the budget or somebody's patience has ended the run.
  bool ended() {
    if (outcome_.end != TuneEnd::complete) return true;
    if (hooks_.cancelled && hooks_.cancelled()) {
      outcome_.end = TuneEnd::cancelled;
    } else if (limits_.budget_seconds > 0 && now() - start_ >= limits_.budget_seconds) {
      outcome_.end = TuneEnd::budget;
    }
    return outcome_.end != TuneEnd::complete;
  }

  bool all_done() const {
    return std::all_of(done_.begin(), done_.end(), [](bool done) { return done; });
  }

  /// Takes finished kernels in; waits for the first one only.
  void collect(std::chrono::milliseconds timeout) {
    while (const auto finished = compiler_.wait(timeout)) {
      timeout = std::chrono::milliseconds(0);
      KernelState& state = kernels_[finished->kernel];
      state.ready = true;
      state.problem = finished->problem;
      ++compiled_;
      if (!state.problem.empty()) {
        disqualify_users_of(finished->kernel, state.problem);
      } else {
        report({});
      }
    }
  }

  void disqualify_users_of(std::size_t kernel, const std::string& problem) {
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      const auto& used = candidates_[i].kernels;
      if (!done_[i] && std::find(used.begin(), used.end(), kernel) != used.end()) disqualify(i, problem);
    }
  }

  void disqualify(std::size_t candidate, const std::string& why) {
    outcome_.measurements[candidate].disqualified = why.empty() ? "it failed without a reason" : why;
    done_[candidate] = true;
    report(candidate);
  }

  /// The best predicted candidate whose kernels are all there; those without hope are passed over.
  std::optional<std::size_t> next_ready() {
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      if (done_[i]) continue;
      if (is_hopeless(i)) {
        done_[i] = true;
        continue;
      }
      const auto& used = candidates_[i].kernels;
      if (std::all_of(used.begin(), used.end(), [&](std::size_t kernel) { return kernels_[kernel].ready; })) {
        return i;
      }
    }
    return std::nullopt;
  }

  bool is_hopeless(std::size_t candidate) const {
    if (limits_.exhaustive || !outcome_.winner || measured_ < least_measured) return false;
    return candidates_[candidate].predicted_ms * least_ratio_ > leader_ms() * hopeless;
  }

  double leader_ms() const { return outcome_.measurements[*outcome_.winner].median(); }

  void try_out(std::size_t candidate) {
    TunerMeasurement& measurement = outcome_.measurements[candidate];
    try {
      measurement.error = device_.check(candidate);
      if (!(measurement.error <= device_.tolerance())) {
        return disqualify(candidate, std::isfinite(measurement.error)
                                         ? fmt::format("its error on sampled results is {:.2e}, over {:.0e}",
                                                       measurement.error, device_.tolerance())
                                         : "a sampled result is not finite, or was not written");
      }
      sample(candidate, first_samples);
      if (limits_.exhaustive || !outcome_.winner || measurement.median() < leader_ms() * near_leader) {
        sample(candidate, more_samples);
      }
    } catch (const Error& error) {
      if (device_.lost()) throw;
      measurement.samples.clear();
      return disqualify(candidate, error.what());
    }
    done_[candidate] = true;
    ++measured_;
    const double predicted = candidates_[candidate].predicted_ms;
    if (predicted > 0) least_ratio_ = std::min(least_ratio_, measurement.median() / predicted);
    find_leader();
    report(candidate);
  }

  void sample(std::size_t candidate, int samples) {
    const std::vector<double> times = device_.time(candidate, samples);
    auto& all = outcome_.measurements[candidate].samples;
    all.insert(all.end(), times.begin(), times.end());
  }

  void find_leader() {
    outcome_.winner.reset();
    double best = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      const TunerMeasurement& measurement = outcome_.measurements[i];
      if (!measurement.disqualified.empty() || measurement.samples.empty()) continue;
      if (measurement.median() < best) {
        best = measurement.median();
        outcome_.winner = i;
      }
    }
  }

  /// Candidates close to the leader, the leader first.
  std::vector<std::size_t> finalists() const {
    std::vector<std::size_t> close;
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      const TunerMeasurement& measurement = outcome_.measurements[i];
      if (!measurement.disqualified.empty() || measurement.samples.empty()) continue;
      if (measurement.median() <= leader_ms() * in_final) close.push_back(i);
    }
    std::stable_sort(close.begin(), close.end(), [&](std::size_t first, std::size_t second) {
      return outcome_.measurements[first].median() < outcome_.measurements[second].median();
    });
    if (close.size() > most_finalists) close.resize(most_finalists);
    return close;
  }

  /// Times those near the leader in turn, so that a clock that drifts treats them alike, until one is clear
  /// or they have been timed so often that it does not matter which is taken.
  void decide_final() {
    if (!outcome_.winner) return;
    for (std::vector<std::size_t> close = finalists(); close.size() > 1; close = finalists()) {
      if (outcome_.measurements[close.front()].samples.size() >= most_samples) return;
      for (const std::size_t candidate : close) {
        if (ended()) return;
        try {
          sample(candidate, more_samples);
        } catch (const Error& error) {
          if (device_.lost()) throw;
          outcome_.measurements[candidate].samples.clear();
          disqualify(candidate, error.what());
        }
      }
      find_leader();
      if (!outcome_.winner) return;
    }
  }

  void report(std::optional<std::size_t> latest) {
    outcome_.seconds = now() - start_;
    if (hooks_.progress) hooks_.progress(outcome_, compiled_, latest);
  }

  struct KernelState {
    bool ready = false;
    std::string problem;
  };

  const std::vector<TunerCandidate>& candidates_;
  TunerCompiler& compiler_;
  TunerDevice& device_;
  const TunerLimits& limits_;
  const TunerHooks& hooks_;
  TunerOutcome outcome_;
  std::vector<bool> done_;
  std::map<std::size_t, KernelState> kernels_;
  double start_ = 0;
  double least_ratio_ = std::numeric_limits<double>::infinity();
  std::size_t measured_ = 0;
  int compiled_ = 0;
};

}  // namespace

double TunerMeasurement::median() const { return median_of(samples); }

double TunerMeasurement::least() const {
  return samples.empty() ? 0 : *std::min_element(samples.begin(), samples.end());
}

TunerOutcome run_tuner(const std::vector<TunerCandidate>& candidates, TunerCompiler& compiler,
                       TunerDevice& device, const TunerLimits& limits, const TunerHooks& hooks) {
  return Run(candidates, compiler, device, limits, hooks).finish();
}

}  // namespace flexgemm::detail
