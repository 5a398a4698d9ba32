#include "cuda/pass_choices.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include <flexgemm/version.hpp>

#include "codegen/emit.hpp"
#include "core/fail.hpp"
#include "core/log.hpp"
#include "cuda/pass_tuning.hpp"

namespace flexgemm::detail {

namespace {

/// A stream of frames has ever new row counts.
constexpr std::size_t most_choices = 1024;
/// The pass that is tuned in place of this one: with the bias alone. What is fused into the epilogue costs
/// all candidates alike, so one result serves them all.
GemmPass without_fused_epilogue(GemmPass pass) {
  pass.epilogue = {};
  return pass;
}

/// The pass in the words of flexgemm-tune's options.
std::string pass_words(const GemmPass& pass, const PassShape& shape) {
  const Extent3 kernel = pass.map->kernel;
  return fmt::format(
      "--op {} --ci {} --co {} --kernel {},{},{} --dtype {} --n {} --pairs-per-voxel {:.2f}", name(shape.op),
      shape.in_channels, shape.out_channels, kernel.x, kernel.y, kernel.z, name(shape.dtype), shape.rows,
      static_cast<double>(shape.pairs) / static_cast<double>(std::max<std::int64_t>(shape.rows, 1)));
}

void log_decision(const GemmPass& pass, const PassShape& shape, const GemmChoice& choice,
                  const std::string& why) {
  if (verbosity() < 1) return;
  const std::string groups = choice.groups > 1 ? fmt::format("--groups {} ", choice.groups) : std::string();
  log(1, "choice {}: --algorithm {} --splits {} {}--spec {} ({})", pass_words(pass, shape),
      name(choice.algorithm), choice.splits, groups, codegen::to_string(choice.spec), why);
}

TuningCandidate stored_form(const CandidateReport& report) {
  TuningCandidate candidate;
  candidate.algorithm = report.choice.algorithm;
  candidate.kernel = report.choice.kernel;
  candidate.splits = report.choice.splits;
  candidate.predicted_ms = report.predicted_ms;
  if (report.samples > 0) candidate.measured_ms = report.measured_ms;
  candidate.problem = report.disqualified;
  return candidate;
}

TuningEntry entry_of(const TuningKey& key, const PassShape& shape, const TuneReport& report) {
  TuningEntry entry;
  entry.key = key;
  entry.winner = stored_form(report.candidates.front());
  if (report.candidates.size() > 1 && report.candidates[1].samples > 0 &&
      report.candidates[1].disqualified.empty()) {
    entry.runner_up = stored_form(report.candidates[1]);
  }
  for (const CandidateReport& candidate : report.candidates)
    entry.candidates.push_back(stored_form(candidate));
  entry.rows = shape.rows;
  entry.pairs = shape.pairs;
  entry.date = utc_now();
  entry.version = version();
  return entry;
}

}  // namespace

PassChoices::PassChoices(KernelCache& kernels, std::shared_ptr<TuningStore> store,
                         const TuningOptions& options)
    : kernels_(kernels), store_(std::move(store)), options_(options) {}

std::optional<GemmChoice> PassChoices::remembered(const PassShape& shape) {
  const std::lock_guard lock(mutex_);
  const auto found = choices_.find(shape);
  if (found == choices_.end()) return std::nullopt;
  return found->second;
}

TuningOptions PassChoices::options() const {
  const std::lock_guard lock(mutex_);
  return options_;
}

void PassChoices::set_options(const TuningOptions& options) {
  const bool tunes = options.policy != TuningPolicy::never;
  const std::lock_guard lock(mutex_);
  if (tunes && options.policy != options_.policy) forget_all();
  options_ = options;
}

void PassChoices::forget() {
  const std::lock_guard lock(mutex_);
  forget_all();
}

void PassChoices::forget_all() {
  ++generation_;
  choices_.clear();
}

void PassChoices::remember(const PassShape& shape, const GemmChoice& choice, std::int64_t generation) {
  const std::lock_guard lock(mutex_);
  if (generation != generation_) return;
  if (choices_.size() >= most_choices) choices_.clear();
  choices_.insert_or_assign(shape, choice);
}

GemmChoice PassChoices::get(const GemmPass& pass, Stream stream) {
  if (pass.map->is_frame()) return ask(pass);  // what is in it now says nothing about the frames to come
  const PassShape shape = with_rounded_counts(shape_of(pass));
  std::int64_t generation = 0;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = choices_.find(shape); found != choices_.end()) return found->second;
    generation = generation_;
  }
  const GemmChoice choice = decide(pass, shape, stream, true);
  kernels_.prepare([&] { return kernels_of(target_of(kernels_.device()), shape_of(pass), choice); });
  remember(shape, choice, generation);
  return choice;
}

GemmChoice PassChoices::ask(const GemmPass& pass) {
  const PassShape shape = with_rounded_counts(shape_of(pass));
  if (auto choice = remembered(shape)) return *choice;
  // Not remembered: a pass that runs may still tune.
  return decide(pass, shape, {}, false);
}

TuningKey PassChoices::key_of(const PassShape& shape) const {
  return tuning_key(kernels_.device().properties().name, target_of(kernels_.device()), shape);
}

GemmChoice PassChoices::decide(const GemmPass& pass, const PassShape& shape, Stream stream, bool may_tune) {
  const TargetDevice target = target_of(kernels_.device());
  const TuningKey key = key_of(shape);
  const TuningPolicy policy = options().policy;
  if (may_tune && policy == TuningPolicy::force) {
    if (auto choice = tune_now(pass, shape, stream)) return *choice;
  }
  if (const auto decision = tuned_choice(*store_, key, target, shape)) {
    log_decision(pass, shape, decision->choice, decision->why);
    return decision->choice;
  }
  if (may_tune && policy == TuningPolicy::on_miss) {
    if (auto choice = tune_now(pass, shape, stream)) return *choice;
  }
  const Decision decision = untuned_choice(*store_, key, target, shape);
  log_decision(pass, shape, decision.choice, decision.why);
  return decision.choice;
}

std::optional<GemmChoice> PassChoices::tune_now(const GemmPass& pass, const PassShape& shape, Stream stream) {
  if (is_capturing(stream)) return std::nullopt;
  const std::lock_guard tuning(tuning_mutex_);
  if (auto choice = remembered(shape)) return *choice;  // another thread was faster
  {
    const std::lock_guard lock(mutex_);
    if (!tried_.insert(key_of(shape)).second) return std::nullopt;
  }
  try {
    TuneRequest request;
    const TuningOptions limits = options();
    request.budget_seconds = limits.budget_seconds;
    request.jobs = limits.jobs;
    PassTuning tuning_result = tune_pass(kernels_, without_fused_epilogue(pass), request, stream);
    if (!tuning_result.report.winner) return std::nullopt;
    store_->save(entry_of(key_of(shape), shape_of(pass), tuning_result.report));
    const CandidateReport& winner = tuning_result.report.candidates.front();
    const auto choice =
        choice_like(priced_choices(target_of(kernels_.device()), shape, statistics_of(shape), Breadth::all),
                    winner.choice.algorithm, winner.choice.kernel, winner.choice.splits);
    if (!choice) return std::nullopt;
    log_decision(pass, shape, choice->choice,
                 fmt::format("tuned now in {:.1f} s, {:.4f} ms measured", tuning_result.report.seconds,
                             winner.measured_ms));
    return choice->choice;
  } catch (const Error& error) {
    // Tuning is an extra: what it lacks (memory for its tensors, most likely) must not fail the pass.
    if (error.code() == ErrorCode::driver) throw;
    log(1, "tuning {} failed: {}", pass_words(pass, shape), error.what());
    return std::nullopt;
  }
}

TuneReport PassChoices::tune(const GemmPass& pass, const TuneRequest& request, Stream stream) {
  if (is_capturing(stream)) {
    fail(ErrorCode::invalid_argument, "the stream is being captured into a graph; tune before the capture");
  }
  const std::lock_guard tuning(tuning_mutex_);
  const PassShape shape = with_rounded_counts(shape_of(pass));
  PassTuning result = tune_pass(kernels_, without_fused_epilogue(pass), request, stream);
  if (!result.report.winner) return result.report;
  const CandidateReport& winner = result.report.candidates.front();
  const auto choice =
      choice_like(priced_choices(target_of(kernels_.device()), shape, statistics_of(shape), Breadth::all),
                  winner.choice.algorithm, winner.choice.kernel, winner.choice.splits);
  const TuningKey key = key_of(shape);
  if (request.store) result.report.stored = store_->save(entry_of(key, shape_of(pass), result.report));
  if (choice) {
    log_decision(
        pass, shape, choice->choice,
        fmt::format("tuned now in {:.1f} s, {:.4f} ms measured", result.report.seconds, winner.measured_ms));
  }
  const std::lock_guard lock(mutex_);
  tried_.insert(key);
  // Shapes of the same key, whatever the alignment of their tensors, decide anew.
  std::erase_if(choices_, [&](const auto& known) { return key_of(known.first) == key; });
  if (!request.store && choice) choices_.insert_or_assign(shape, choice->choice);
  return result.report;
}

}  // namespace flexgemm::detail
