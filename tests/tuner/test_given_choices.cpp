#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <flexgemm/error.hpp>

#include "choice/given_choices.hpp"
#include "codegen/emit.hpp"

using namespace flexgemm;
using namespace flexgemm::detail;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

const TargetDevice hopper{.architecture = codegen::parse_architecture("sm_90a"), .multiprocessors = 132};

PassShape layer() {
  PassShape pass;
  pass.in_channels = 256;
  pass.out_channels = 256;
  pass.volume = 27;
  pass.dtype = DType::f16;
  pass.rows = 100'000;
  pass.pairs = pass.rows * 8;
  return pass;
}

KernelChoice named(const GemmChoice& choice) {
  return {.algorithm = choice.algorithm,
          .kernel = codegen::to_string(choice.spec),
          .splits = choice.splits,
          .groups = choice.groups};
}

constexpr const char* chained =
    "persistent_gemm.f16.wgmma.ci256.co256.v27.t128x256x64.s4.w8x1.b1.vec16.16.16.bias0.chained.sm_90a";

}  // namespace

TEST_CASE("every candidate can be given by its name, at the same price") {
  for (const Op op : {Op::forward, Op::grad_input, Op::grad_weight}) {
    PassShape pass = layer();
    pass.op = op;
    const auto priced = priced_choices(hopper, pass, statistics_of(pass), Breadth::all);
    std::vector<KernelChoice> names;
    for (const PricedChoice& each : priced) names.push_back(named(each.choice));
    const auto given = given_choices(hopper, pass, names);
    REQUIRE(given.size() == priced.size());
    for (std::size_t i = 0; i < given.size(); ++i) {
      CHECK(given[i].choice.spec == priced[i].choice.spec);
      CHECK(given[i].choice.splits == priced[i].choice.splits);
      CHECK(given[i].predicted_ms == priced[i].predicted_ms);
    }
  }
}

TEST_CASE("a kernel that no list offers can be given: chained groups, a tile of one's own") {
  const KernelChoice groups{.algorithm = Algorithm::masked_implicit_gemm, .kernel = chained, .groups = 3};
  const KernelChoice tile{
      .algorithm = Algorithm::masked_implicit_gemm,
      .kernel =
          "implicit_gemm.f16.wgmma.ci256.co256.v27.t192x128x64.s3.w12x1.b1.vec16.16.16.bias0.storage.sm_90a"};
  const auto given = given_choices(hopper, layer(), {groups, tile});
  CHECK(given.at(0).choice.groups == 3);
  CHECK(given.at(1).choice.spec.row_tile == 192);
}

TEST_CASE("a choice that does not serve the pass is refused with the reason") {
  const GemmChoice usual = choose_gemm(hopper, layer());
  const auto refused = [&](KernelChoice choice, const char* reason) {
    CHECK_THROWS_MATCHES(given_choices(hopper, layer(), {choice}), Error,
                         MessageMatches(ContainsSubstring(reason)));
  };
  KernelChoice choice = named(usual);
  choice.kernel = "implicit_gemm.f16";
  refused(choice, "cannot be read");
  choice = named(usual);
  choice.kernel.replace(choice.kernel.find(".ci256."), 7, ".ci128.");
  refused(choice, "does not serve the pass");
  choice = named(usual);
  choice.kernel.replace(choice.kernel.find(".f16."), 5, ".bf16.");
  refused(choice, "does not serve the pass");
  choice = named(usual);
  choice.splits = 2;
  refused(choice, "2 splits and 1 groups");
  choice = named(usual);
  choice.groups = 2;
  refused(choice, "1 splits and 2 groups");
  refused({.algorithm = Algorithm::masked_implicit_gemm, .kernel = chained, .groups = 28}, "28 groups");
  choice = named(usual);
  choice.algorithm = Algorithm::automatic;
  refused(choice, "needs an algorithm");
  PassShape unaligned = layer();
  unaligned.first_alignment = 2;
  CHECK_THROWS_MATCHES(given_choices(hopper, unaligned, {named(usual)}), Error,
                       MessageMatches(ContainsSubstring("wider than the pass allows")));
  PassShape pinned = layer();
  pinned.algorithm = Algorithm::implicit_gemm;
  CHECK_THROWS_MATCHES(given_choices(hopper, pinned, {named(usual)}), Error,
                       MessageMatches(ContainsSubstring("the layer's algorithm is implicit_gemm")));
}
