#include <catch2/catch_test_macros.hpp>

#include "choice/priced_choices.hpp"
#include "choice/tuned_choice.hpp"
#include "codegen/emit.hpp"

using namespace flexgemm;
using namespace flexgemm::detail;

namespace {

const TargetDevice hopper{.architecture = codegen::parse_architecture("sm_90a"), .multiprocessors = 132};
const std::string gpu = "NVIDIA H100";

PassShape layer(std::int64_t channels, std::int64_t rows) {
  PassShape pass;
  pass.in_channels = channels;
  pass.out_channels = channels;
  pass.volume = 27;
  pass.dtype = DType::f16;
  pass.rows = rows;
  pass.pairs = rows * 8;
  return pass;
}

std::vector<PricedChoice> priced(const PassShape& pass) {
  return priced_choices(hopper, pass, statistics_of(pass), Breadth::all);
}

/// Stores `winner` as what tuning found for `pass`.
void store_winner(TuningStore& store, const PassShape& pass, const GemmChoice& winner) {
  TuningEntry entry;
  entry.key = tuning_key(gpu, hopper, pass);
  entry.winner.algorithm = winner.algorithm;
  entry.winner.kernel = codegen::to_string(winner.spec);
  entry.winner.splits = winner.splits;
  entry.winner.measured_ms = 0.5;
  entry.date = utc_now();
  store.save(entry);
}

/// A choice that is not the model's first, but not far behind it, of the kernels that serve tensors of all
/// alignments and all epilogues.
GemmChoice second_best(const PassShape& pass) {
  const GemmChoice usual = choose_gemm(hopper, pass);
  for (const PricedChoice& candidate : priced(pass)) {
    const codegen::KernelSpec& spec = candidate.choice.spec;
    if (!(spec == usual.spec) && spec.kind == codegen::KernelKind::implicit_gemm &&
        candidate.choice.splits == 1)
      return candidate.choice;
  }
  return usual;
}

std::optional<Decision> tuned(TuningStore& store, const PassShape& pass) {
  return tuned_choice(store, tuning_key(gpu, hopper, pass), hopper, pass);
}
Decision untuned(TuningStore& store, const PassShape& pass) {
  return untuned_choice(store, tuning_key(gpu, hopper, pass), hopper, pass);
}

}  // namespace

TEST_CASE("with nothing tuned the cost model chooses, and the decision says so") {
  TuningStore store;
  const PassShape pass = layer(64, 100'000);
  CHECK(!tuned(store, pass));
  const Decision decision = untuned(store, pass);
  CHECK(decision.choice.spec == choose_gemm(hopper, pass).spec);
  CHECK(decision.why.starts_with("cost model"));
}

TEST_CASE("what was tuned for a shape is used for it, whatever its row count within the bucket") {
  TuningStore store;
  const PassShape pass = layer(64, 100'000);
  const GemmChoice winner = second_best(pass);
  store_winner(store, pass, winner);
  for (const std::int64_t rows : {70'000, 100'000, 130'000}) {
    const auto decision = tuned(store, layer(64, rows));
    REQUIRE(decision.has_value());
    CHECK(decision->choice.spec == winner.spec);
    CHECK(decision->why.starts_with("tuned "));
  }
  CHECK(!tuned(store, layer(128, 100'000)));
  CHECK(!tuned(store, layer(64, 400'000)));
}

TEST_CASE("a tuned tile serves tensors of other alignments and fused epilogues by its like") {
  TuningStore store;
  PassShape pass = layer(64, 100'000);
  const GemmChoice winner = second_best(pass);
  store_winner(store, pass, winner);
  pass.first_alignment = 8;
  pass.epilogue = "relu(acc)";
  const auto decision = tuned(store, pass);
  REQUIRE(decision.has_value());
  CHECK(decision->choice.spec.row_tile == winner.spec.row_tile);
  CHECK(decision->choice.spec.column_tile == winner.spec.column_tile);
  CHECK(decision->choice.spec.feats_vector_bytes == 8);
  CHECK(decision->choice.spec.epilogue == pass.epilogue);
  CHECK(!codegen::rejection(decision->choice.spec));
}

TEST_CASE("a result whose words mean nothing here is passed over") {
  TuningStore store;
  const PassShape pass = layer(64, 100'000);
  TuningEntry entry;
  entry.key = tuning_key(gpu, hopper, pass);
  entry.winner = {.algorithm = Algorithm::masked_implicit_gemm,
                  .kernel = "of a newer version",
                  .splits = 1,
                  .layout = {},
                  .predicted_ms = {},
                  .measured_ms = {},
                  .problem = {}};
  store.save(entry);
  CHECK(!tuned(store, pass));
  CHECK(untuned(store, pass).choice.spec == choose_gemm(hopper, pass).spec);
}

TEST_CASE("a miss takes the nearest tuned shape, and says which") {
  TuningStore store;
  const PassShape near = layer(64, 100'000);
  const GemmChoice winner = second_best(near);
  store_winner(store, near, winner);
  const Decision decision = untuned(store, layer(64, 200'000));  // one bucket of rows away
  CHECK(decision.choice.spec == winner.spec);
  CHECK(decision.why.starts_with("nearest tuned shape"));
  CHECK(decision.why.find("64 -> 64") != std::string::npos);
}

TEST_CASE("a shape that is far away, of another type or op, says nothing") {
  TuningStore store;
  store_winner(store, layer(64, 1000), second_best(layer(64, 100'000)));
  PassShape other_type = layer(64, 100'000);
  other_type.dtype = DType::tf32;
  store_winner(store, other_type, second_best(other_type));
  PassShape other_op = layer(64, 100'000);
  other_op.op = Op::grad_input;
  store_winner(store, other_op, second_best(other_op));
  const PassShape pass = layer(64, 100'000);
  CHECK(untuned(store, pass).why.starts_with("cost model"));
}

TEST_CASE("a neighbor's winner that the cost model holds to be slow is not taken") {
  TuningStore store;
  const PassShape near = layer(64, 100'000);
  store_winner(store, near, priced(near).back().choice);  // the slowest of all
  const Decision decision = untuned(store, layer(64, 200'000));
  CHECK(decision.why.starts_with("cost model"));
  CHECK(tuned(store, near).has_value());  // where it was measured it is believed
}
