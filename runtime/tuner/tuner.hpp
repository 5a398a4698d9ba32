#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <flexgemm/tuning.hpp>

#include "cache/kernel_store.hpp"

namespace flexgemm::detail {

/// One way to compute a pass, as the tuner sees it.
struct TunerCandidate {
  double predicted_ms = 0;
  std::vector<std::size_t> kernels;  ///< that it launches, by their positions in the compiler's list
};

/// Where the kernels of candidates come from.
class TunerCompiler {
 public:
  /// What became of a kernel: a problem as a sentence, or empty when it can be launched.
  struct Outcome {
    std::size_t kernel = 0;
    std::string problem;
  };

  virtual ~TunerCompiler() = default;
  /// Asks for a kernel. The tuner asks once for each, in the order in which it wants them.
  virtual void request(std::size_t kernel) = 0;
  /// The next requested kernel that is finished; none when `timeout` has passed before one was.
  virtual std::optional<Outcome> wait(std::chrono::milliseconds timeout) = 0;
};

/// What candidates are measured on: a GPU, or a test's script. An Error thrown from a call disqualifies the
/// candidate, unless `lost()`.
class TunerDevice {
 public:
  virtual ~TunerDevice() = default;
  /// Runs the candidate on poisoned outputs and returns its relative error on sampled results: NaN or
  /// infinite if any of them is.
  virtual double check(std::size_t candidate) = 0;
  /// Error up to which `check` believes a candidate.
  virtual double tolerance() const = 0;
  /// Times of one call in milliseconds, `samples` of them, each the mean of as many calls as make it long
  /// enough to be measured.
  virtual std::vector<double> time(std::size_t candidate, int samples) = 0;
  /// The device itself has failed: nothing can be measured any more.
  virtual bool lost() const noexcept = 0;
};

/// What bounds a run of the tuner.
struct TunerLimits {
  double budget_seconds = 0;  ///< <= 0: none
  /// Try every candidate with as many samples as the leader, also those that the model thinks hopeless.
  bool exhaustive = false;
};

/// What the tuner found out about one candidate.
struct TunerMeasurement {
  std::vector<double> samples;  ///< ms
  double error = -1;            ///< -1: not checked
  std::string disqualified;     ///< a sentence; empty: it is not
  double median() const;        ///< 0 without samples
  double least() const;
};

struct TunerOutcome {
  std::vector<TunerMeasurement> measurements;  ///< one a candidate
  std::optional<std::size_t> winner;
  TuneEnd end = TuneEnd::complete;
  double seconds = 0;
};

/// Called after each step that the world may like to know about.
struct TunerHooks {
  /// `latest`: the candidate that has just been measured or disqualified, if that was the step.
  std::function<void(const TunerOutcome& so_far, int compiled, std::optional<std::size_t> latest)> progress{};
  std::function<bool()> cancelled{};
  /// Seconds since some start; empty: the steady clock. For tests.
  std::function<double()> clock{};
};

/// Finds the fastest candidate that computes what it should. Kernels are requested in the order of the
/// candidates (the best predicted first) and compile while earlier ones are measured. Every candidate is
/// checked, then timed a few times; those near the leader are timed more often, in turn, until the leader is
/// clear. A candidate is passed over when its prediction, corrected by the best ratio of measured to
/// predicted seen so far, is far above the leader. `disqualified` of the outcome says why a candidate failed;
/// one that was passed over or not reached has no samples and no such sentence. Throws what the hooks throw,
/// and the device's Error once it is lost.
TunerOutcome run_tuner(const std::vector<TunerCandidate>& candidates, TunerCompiler& compiler,
                       TunerDevice& device, const TunerLimits& limits, const TunerHooks& hooks = {});

}  // namespace flexgemm::detail
