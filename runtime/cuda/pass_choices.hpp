#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include <flexgemm/tuning.hpp>

#include "cache/tuning_store.hpp"
#include "choice/tuned_choice.hpp"
#include "cuda/gemm_pass.hpp"

namespace flexgemm::detail {

/// Decides how the passes of a context are computed, and remembers it: going through the candidates costs
/// more than a launch. In this order: what was tuned for exactly this shape; by the policy, tuning it now;
/// the winner of the nearest tuned shape, where the cost model does not object; the cost model's first
/// choice. Each decision is one line in the log, in words that flexgemm-tune accepts. Thread-safe; one thread
/// tunes at a time.
class PassChoices {
 public:
  PassChoices(KernelCache& kernels, std::shared_ptr<TuningStore> store, const TuningOptions& options);

  /// The choice for a pass that is about to run on `stream`: may tune, unless the stream is capturing.
  GemmChoice get(const GemmPass& pass, Stream stream);
  /// The choice that a pass would get now, without tuning.
  GemmChoice ask(const GemmPass& pass);
  /// Tunes whatever was known, stores the winner if the request says so, and uses it from now on.
  TuneReport tune(const GemmPass& pass, const TuneRequest& request, Stream stream);

  TuningOptions options() const;
  /// A policy that tunes also forgets what was decided without.
  void set_options(const TuningOptions& options);
  /// Every pass is decided about anew: there is more to know now.
  void forget();

 private:
  std::optional<GemmChoice> remembered(const PassShape& shape);
  /// Unless all was forgotten since `generation`: the choice may rest on what was known before.
  void remember(const PassShape& shape, const GemmChoice& choice, std::int64_t generation);
  void forget_all();  // mutex_ is held
  GemmChoice decide(const GemmPass& pass, const PassShape& shape, Stream stream, bool may_tune);
  TuningKey key_of(const PassShape& shape) const;
  std::optional<GemmChoice> tune_now(const GemmPass& pass, const PassShape& shape, Stream stream);

  KernelCache& kernels_;
  std::shared_ptr<TuningStore> store_;
  mutable std::mutex mutex_;  // guards what follows, up to tried_
  TuningOptions options_;
  std::int64_t generation_ = 0;  // how often all was forgotten
  std::map<PassShape, GemmChoice> choices_;
  std::set<TuningKey> tried_;  // shapes that this context has tuned, or could not
  std::mutex tuning_mutex_;
};

}  // namespace flexgemm::detail
