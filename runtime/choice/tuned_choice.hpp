#pragma once

#include <optional>
#include <string>

#include "cache/tuning_store.hpp"
#include "choice/pass_shape.hpp"

namespace flexgemm::detail {

/// A choice, and where it comes from: a clause for the log.
struct Decision {
  GemmChoice choice;
  std::string why;
};

/// What a tuning result of a pass is stored under. `device_name` is the GPU's.
TuningKey tuning_key(const std::string& device_name, const TargetDevice& device, const PassShape& pass);

/// What was tuned for exactly this shape, where its tile serves the pass.
std::optional<Decision> tuned_choice(TuningStore& store, const TuningKey& key, const TargetDevice& device,
                                     const PassShape& pass);

/// The choice without tuning: the winner of the nearest tuned shape, where it is near and the cost model does
/// not object; else choose_gemm's. Throws Error{unsupported}.
Decision untuned_choice(TuningStore& store, const TuningKey& key, const TargetDevice& device,
                        const PassShape& pass);

}  // namespace flexgemm::detail
