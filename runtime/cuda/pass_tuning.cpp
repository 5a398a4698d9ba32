#include "cuda/pass_tuning.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <numeric>

#include "choice/given_choices.hpp"
#include "codegen/emit.hpp"
#include "core/fail.hpp"
#include "core/log.hpp"
#include "cuda/driver.hpp"
#include "cuda/tuning_device.hpp"
#include "tuner/compile_pool.hpp"

namespace flexgemm::detail {

namespace {

/// The kernels of all candidates, each once, from memory, from disk or from worker processes.
class PoolCompiler final : public TunerCompiler {
 public:
  PoolCompiler(std::shared_ptr<TuningKernels> kernels, int jobs)
      : kernels_(std::move(kernels)), pool_({.jobs = jobs, .worker_path = compile_worker_path()}) {}

  /// Position of a kernel in the list, which grows by those that are new.
  std::size_t position(const codegen::KernelSpec& spec) {
    const auto [found, is_new] = positions_.emplace(spec, specs_.size());
    if (is_new) specs_.push_back(spec);
    return found->second;
  }

  void request(std::size_t kernel) override {
    const codegen::KernelSpec& spec = specs_.at(kernel);
    if (kernels_->load(codegen::source_hash(spec), spec)) {
      known_.push_back(kernel);
    } else {
      pool_.submit(spec);
      submitted_.push_back(kernel);
    }
  }

  std::optional<Outcome> wait(std::chrono::milliseconds timeout) override {
    if (!known_.empty()) {
      const std::size_t kernel = known_.front();
      known_.pop_front();
      return Outcome{kernel, {}};
    }
    auto finished = pool_.wait(timeout);
    if (!finished) return std::nullopt;
    const std::size_t kernel = submitted_.at(finished->ticket);
    const codegen::KernelSpec& spec = specs_.at(kernel);
    if (finished->kernel) kernels_->save(codegen::source_hash(spec), spec, *finished->kernel);
    return Outcome{kernel, finished->problem};
  }

 private:
  std::shared_ptr<TuningKernels> kernels_;
  CompilePool pool_;
  std::vector<codegen::KernelSpec> specs_;
  std::map<codegen::KernelSpec, std::size_t> positions_;
  std::vector<std::size_t> submitted_;  // by ticket
  std::deque<std::size_t> known_;
};

CandidateReport report_of(const PricedChoice& candidate, const TunerMeasurement& measurement) {
  return {.choice = {.algorithm = candidate.choice.algorithm,
                     .kernel = codegen::to_string(candidate.choice.spec),
                     .splits = candidate.choice.splits,
                     .groups = candidate.choice.groups},
          .predicted_ms = candidate.predicted_ms,
          .measured_ms = measurement.median(),
          .least_ms = measurement.least(),
          .samples = static_cast<int>(measurement.samples.size()),
          .error = measurement.error,
          .disqualified = measurement.disqualified};
}

bool is_measured(const TunerMeasurement& measurement) {
  return measurement.disqualified.empty() && !measurement.samples.empty();
}

/// Measured candidates by time, then the others as they were predicted; the winner first.
std::vector<std::size_t> report_order(const TunerOutcome& outcome) {
  std::vector<std::size_t> order(outcome.measurements.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t first, std::size_t second) {
    const TunerMeasurement& a = outcome.measurements[first];
    const TunerMeasurement& b = outcome.measurements[second];
    if (is_measured(a) != is_measured(b)) return is_measured(a);
    return is_measured(a) && a.median() < b.median();
  });
  return order;
}

/// Tells the request's progress function how far tuning is.
TunerHooks hooks_for(const TuneRequest& request, const std::vector<PricedChoice>& candidates) {
  TunerHooks hooks;
  hooks.cancelled = request.cancelled;
  if (!request.progress) return hooks;
  hooks.progress = [&request, &candidates](const TunerOutcome& so_far, int compiled,
                                           std::optional<std::size_t> latest) {
    TuneProgress progress;
    progress.candidates = static_cast<int>(candidates.size());
    progress.compiled = compiled;
    progress.seconds = so_far.seconds;
    for (const TunerMeasurement& measurement : so_far.measurements) {
      progress.measured += measurement.samples.empty() && measurement.disqualified.empty() ? 0 : 1;
    }
    std::optional<CandidateReport> newest;
    std::optional<CandidateReport> leader;
    if (latest) newest = report_of(candidates[*latest], so_far.measurements[*latest]);
    if (so_far.winner) leader = report_of(candidates[*so_far.winner], so_far.measurements[*so_far.winner]);
    progress.latest = newest ? &*newest : nullptr;
    progress.leader = leader ? &*leader : nullptr;
    request.progress(progress);
  };
  return hooks;
}

/// The winner's kernels become the context's own.
void keep_kernels(KernelCache& kernels, TuningKernels& tuned, const GemmPass& pass,
                  const GemmChoice& choice) {
  for (const codegen::KernelSpec& spec : kernels_of(target_of(kernels.device()), shape_of(pass), choice)) {
    if (const auto compiled = tuned.load(codegen::source_hash(spec), spec)) kernels.adopt(spec, *compiled);
  }
}

/// What would run untuned is tried first, wherever its price puts it: the result is compared with it.
void move_to_front(std::vector<PricedChoice>& candidates, const GemmChoice& usual) {
  const auto found = std::find_if(candidates.begin(), candidates.end(), [&](const PricedChoice& candidate) {
    const GemmChoice& choice = candidate.choice;
    return choice.algorithm == usual.algorithm && choice.splits == usual.splits && choice.spec == usual.spec;
  });
  if (found != candidates.end()) std::rotate(candidates.begin(), found, found + 1);
}

}  // namespace

bool is_capturing(Stream stream) {
  CUstreamCaptureStatus capture = CU_STREAM_CAPTURE_STATUS_NONE;
  FLEXGEMM_DRIVER(cuStreamIsCapturing, stream.handle(), &capture);
  return capture != CU_STREAM_CAPTURE_STATUS_NONE;
}

PassTuning tune_pass(KernelCache& kernels, const GemmPass& pass, const TuneRequest& request, Stream stream) {
  const TargetDevice target = target_of(kernels.device());
  const PassShape shape = shape_of(pass);
  const bool given = !request.choices.empty();
  std::vector<PricedChoice> candidates =
      given ? given_choices(target, shape, request.choices)
            : priced_choices(target, shape, statistics_of(shape), Breadth::all);
  if (!given) move_to_front(candidates, choose_gemm(target, shape));
  if (!given && request.most_candidates > 0 &&
      candidates.size() > static_cast<std::size_t>(request.most_candidates)) {
    candidates.resize(static_cast<std::size_t>(request.most_candidates));
  }
  const auto tuned = std::make_shared<TuningKernels>(kernels.store());
  PoolCompiler compiler(tuned, request.jobs);
  std::vector<TunerCandidate> described;
  std::vector<GemmChoice> choices;
  for (const PricedChoice& candidate : candidates) {
    TunerCandidate& one = described.emplace_back();
    one.predicted_ms = candidate.predicted_ms;
    for (const codegen::KernelSpec& spec : kernels_of(target, shape, candidate.choice)) {
      one.kernels.push_back(compiler.position(spec));
    }
    choices.push_back(candidate.choice);
  }
  KernelCache scratch(kernels.device(), tuned);  // losers go with it
  TuningDevice device(scratch, pass, choices, stream);
  const TunerOutcome outcome = run_tuner(
      described, compiler, device,
      {.budget_seconds = request.budget_seconds, .exhaustive = given || request.most_candidates == 0},
      hooks_for(request, candidates));
  PassTuning tuning;
  TuneReport& report = tuning.report;
  for (const std::size_t i : report_order(outcome)) {
    if (i == 0 && !given) report.predicted = report.candidates.size();
    report.candidates.push_back(report_of(candidates[i], outcome.measurements[i]));
    tuning.choices.push_back(candidates[i].choice);
  }
  if (outcome.winner) {
    report.winner = 0;
    keep_kernels(kernels, *tuned, pass, candidates[*outcome.winner].choice);
  }
  if (!given) report.predicted_choice_ms = outcome.measurements.front().median();
  report.end = outcome.end;
  report.seconds = outcome.seconds;
  return tuning;
}

}  // namespace flexgemm::detail
