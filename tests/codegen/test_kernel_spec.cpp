#include <set>
#include <stdexcept>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "codegen/emit.hpp"
#include "spec_sets.hpp"

using namespace flexgemm::codegen;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

constexpr const char* example =
    "implicit_gemm.f16.mma_sync.ci64.co64.v27.t128x64x32.s4.w4x2.b2.vec16.16.16.bias0.storage.sm_90a";

}  // namespace

TEST_CASE("the text of a spec names every field") {
  KernelSpec spec;
  spec.compute = ElementType::f16;
  spec.mma = MmaPath::mma_sync;
  spec.in_channels = 64;
  spec.out_channels = 64;
  spec.volume = 27;
  spec.row_tile = 128;
  spec.stages = 4;
  spec.warps_m = 4;
  spec.min_blocks = 2;
  spec.feats_vector_bytes = spec.weight_vector_bytes = spec.output_vector_bytes = 16;
  spec.architecture = {9, 0, 'a'};
  CHECK(to_string(spec) == example);
}

TEST_CASE("every candidate and helper is valid, its text reads back as the same spec, no two share it") {
  std::set<std::string> texts;
  std::set<std::string> hashes;
  std::set<KernelSpec> specs;
  for (const char* architecture : {"sm_75", "sm_89", "sm_90a"}) {
    for (const auto& each : flexgemm::test::representative_problems(parse_architecture(architecture))) {
      std::vector<KernelSpec> all = gemm_candidates(each.problem, each.output);
      all.push_back(gather_rows_spec(each.problem));
      all.push_back(reduce_partials_spec(each.problem));
      all.push_back(reduce_gradient_spec(each.problem, (each.problem.volume + 1) / 2, each.output));
      all.push_back(transpose_weights_spec(each.problem, 16));
      for (const KernelSpec& spec : all) {
        if (!specs.insert(spec).second) continue;
        const std::string text = to_string(spec);
        if (const auto reason = rejection(spec)) FAIL(text << ": " << *reason);
        if (!(parse_spec(text) == spec)) FAIL(text << " reads back as " << to_string(parse_spec(text)));
        if (!texts.insert(text).second) FAIL("two specs have the text " << text);
        if (!hashes.insert(spec_hash(spec)).second) FAIL("two specs have the hash of " << text);
      }
    }
  }
  CHECK(specs.size() > 1000);
}

TEST_CASE("the hash of a spec never changes") {
  // 64-bit FNV-1a of the text, computed independently; a change would orphan every kernel cache.
  CHECK(spec_hash(parse_spec(example)) == "f996a784ef359d1e");
}

TEST_CASE("a spec's text names MN-major weights, and nothing where they are K-major") {
  const std::string k_major =
      "persistent_gemm.f16.wgmma.ci256.co256.v27.t128x256x64.s4.w8x1.b1.vec16.16.16.bias0.storage.sm_90a";
  std::string mn_major = k_major;
  mn_major.replace(mn_major.find(".vec"), 4, ".mn.vec");
  CHECK(parse_spec(k_major).weight_major == WeightMajor::k);
  CHECK(parse_spec(mn_major).weight_major == WeightMajor::mn);
  CHECK(to_string(parse_spec(mn_major)) == mn_major);
  CHECK(spec_hash(parse_spec(mn_major)) != spec_hash(parse_spec(k_major)));
  mn_major.replace(mn_major.find(".mn."), 4, ".mnk.");
  CHECK_THROWS_AS(parse_spec(mn_major), std::invalid_argument);
}

TEST_CASE("text that is not a spec is refused with the offending part") {
  struct Case {
    const char* text;
    const char* part;
  };
  const std::string good = example;
  const auto [text, part] =
      GENERATE(Case{"", "found \"\""}, Case{"explicit_gemm.f16", "found \"explicit_gemm\""},
               Case{"implicit_gemm.f64", "found \"f64\""}, Case{"implicit_gemm.f16.wmma", "found \"wmma\""},
               Case{"implicit_gemm.f16.mma_sync.co64", "such as ci64, found \"co64\""},
               Case{"implicit_gemm.f16.mma_sync.ci-4", "found \"ci-4\""},
               Case{"implicit_gemm.f16.mma_sync.ci99999999999", "found \"ci99999999999\""},
               Case{"implicit_gemm.f16.mma_sync.ci64.co64.v27.t128x64", "found \"t128x64\""},
               Case{"implicit_gemm.f16.mma_sync.ci64.co64.v27.t128x64x32x8", "found \"t128x64x32x8\""});
  CHECK_THROWS_MATCHES(parse_spec(text), std::invalid_argument, MessageMatches(ContainsSubstring(part)));
}

TEST_CASE("a spec's text is refused when anything is left over, missing or spelled in another way") {
  const std::string good = example;
  CHECK_NOTHROW(parse_spec(good));
  CHECK_THROWS_AS(parse_spec(good + ".more"), std::invalid_argument);
  CHECK_THROWS_AS(parse_spec(good + "."), std::invalid_argument);
  for (std::size_t length = 0; length < good.size() - 1; ++length) {
    INFO(good.substr(0, length));
    CHECK_THROWS_AS(parse_spec(good.substr(0, length)), std::invalid_argument);
  }
  std::string padded = good;
  padded.replace(padded.find("ci64"), 4, "ci064");
  CHECK_THROWS_MATCHES(parse_spec(padded), std::invalid_argument,
                       MessageMatches(ContainsSubstring("canonical")));
}
