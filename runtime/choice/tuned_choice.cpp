#include "choice/tuned_choice.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "choice/priced_choices.hpp"
#include "codegen/emit.hpp"
#include "core/log.hpp"

namespace flexgemm::detail {

namespace {

/// The winner of a shape so far away (tuning_distance) says little: two octaves of rows and of pairs
/// together, or one of channels.
constexpr double farthest_neighbor = 1.0;
/// The nearest winner is believed while the cost model puts it so close to its own first choice.
constexpr double model_objects = 1.25;

/// Fused operations cost all candidates alike: a result serves them all, and only the bias tells apart.
std::string epilogue_words(const PassShape& pass) {
  switch (pass.bias) {
    case codegen::BiasType::none:
      return "bias0";
    case codegen::BiasType::f32:
      return "bias_f32";
    case codegen::BiasType::storage:
      break;
  }
  return "bias_storage";
}

std::vector<PricedChoice> all_choices(const TargetDevice& device, const PassShape& pass) {
  return priced_choices(device, pass, statistics_of(pass), Breadth::all);
}

std::optional<PricedChoice> like(const std::vector<PricedChoice>& priced, const TuningCandidate& winner) {
  return choice_like(priced, winner.algorithm, winner.kernel, winner.splits);
}

}  // namespace

TuningKey tuning_key(const std::string& device_name, const TargetDevice& device, const PassShape& pass) {
  TuningKey key;
  key.device = device_name;
  key.architecture = codegen::to_string(device.architecture);
  key.multiprocessors = device.multiprocessors;
  key.op = pass.op;
  key.dtype = pass.dtype;
  key.result_dtype = storage_type(pass.op == Op::grad_weight ? pass.output_dtype : pass.dtype);
  key.in_channels = pass.in_channels;
  key.out_channels = pass.out_channels;
  key.volume = pass.volume;
  key.rows_bucket = rows_bucket(pass.rows);
  key.pairs_bucket = pairs_bucket(static_cast<double>(pass.pairs) /
                                  static_cast<double>(std::max<std::int64_t>(pass.rows, 1)));
  key.epilogue = epilogue_words(pass);
  key.algorithm = pass.algorithm;
  key.template_hash = codegen::template_hash();
  return key;
}

std::optional<Decision> tuned_choice(TuningStore& store, const TuningKey& key, const TargetDevice& device,
                                     const PassShape& pass) {
  const auto entry = store.find(key);
  if (!entry) return std::nullopt;
  const auto choice = like(all_choices(device, pass), entry->winner);
  if (!choice) return std::nullopt;
  return Decision{choice->choice, fmt::format("tuned {}, {:.4f} ms measured", entry->date,
                                              entry->winner.measured_ms.value_or(0))};
}

Decision untuned_choice(TuningStore& store, const TuningKey& key, const TargetDevice& device,
                        const PassShape& pass) {
  const GemmChoice usual = choose_gemm(device, pass);
  const auto match = store.nearest(key);
  const bool is_near = match && match->distance <= farthest_neighbor;
  if (!is_near && verbosity() < 1) return {usual, "cost model"};  // a new frame should cost microseconds
  const std::vector<PricedChoice> priced = all_choices(device, pass);
  const auto price = choice_like(priced, usual.algorithm, codegen::to_string(usual.spec), usual.splits);
  if (const auto near = is_near ? like(priced, match->entry.winner) : std::nullopt) {
    if (!price || near->predicted_ms <= price->predicted_ms * model_objects) {
      return {near->choice, fmt::format("nearest tuned shape, distance {:.2f}: {}", match->distance,
                                        to_string(match->entry.key))};
    }
  }
  return {usual, price ? fmt::format("cost model, {:.4f} ms predicted", price->predicted_ms)
                       : std::string("cost model")};
}

}  // namespace flexgemm::detail
