#pragma once

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

 private:
  std::optional<GemmChoice> remembered(const PassShape& shape);
  void remember(const PassShape& shape, const GemmChoice& choice);
  GemmChoice decide(const GemmPass& pass, const PassShape& shape, Stream stream, bool may_tune);
  TuningKey key_of(const PassShape& shape) const;
  std::optional<GemmChoice> tune_now(const GemmPass& pass, const PassShape& shape, Stream stream);

  KernelCache& kernels_;
  std::shared_ptr<TuningStore> store_;
  TuningOptions options_;
  std::mutex mutex_;  // guards choices_ and tried_
  std::map<PassShape, GemmChoice> choices_;
  std::set<TuningKey> tried_;  // shapes that this context has tuned, or could not
  std::mutex tuning_mutex_;
};

}  // namespace flexgemm::detail
