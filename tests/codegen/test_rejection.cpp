#include <functional>
#include <limits>
#include <stdexcept>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "codegen/candidates.hpp"
#include "codegen/emit.hpp"

using namespace flexgemm::codegen;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

KernelSpec valid_spec() {
  return parse_spec(
      "implicit_gemm.f16.mma_sync.ci64.co64.v27.t128x64x32.s4.w4x2.b2.vec16.16.16.bias0.storage.sm_80");
}

struct Case {
  const char* reason;
  std::function<void(KernelSpec&)> change;
};

}  // namespace

TEST_CASE("a valid spec is not rejected") { CHECK_FALSE(rejection(valid_spec())); }

TEST_CASE("an invalid spec is rejected with the reason and the values, and is not emitted") {
  constexpr int huge = std::numeric_limits<int>::max();
  const Case test = GENERATE_COPY(
      Case{"there are 0 input", [](KernelSpec& s) { s.in_channels = 0; }},
      Case{"-1 output channels", [](KernelSpec& s) { s.out_channels = -1; }},
      Case{"it is 344", [](KernelSpec& s) { s.volume = 344; }},
      Case{"it has 32", [](KernelSpec& s) { s.feats_vector_bytes = 32; }},
      Case{"vector of weights (16 bytes) does not divide a row of 34 bytes",
           [](KernelSpec& s) { s.in_channels = 17, s.feats_vector_bytes = 2; }},
      Case{"smaller than one element (4 bytes)",
           [](KernelSpec& s) { s.output = OutputType::partial, s.output_vector_bytes = 2; }},
      Case{"there are 0 x 2", [](KernelSpec& s) { s.warps_m = 0; }},
      Case{"there are 8 x 4", [](KernelSpec& s) { s.warps_m = 8, s.warps_n = 4; }},
      Case{"1 to 16 warps", [=](KernelSpec& s) { s.warps_m = s.warps_n = huge; }},
      Case{"asked for are 9 blocks of 256 threads", [](KernelSpec& s) { s.min_blocks = 9; }},
      Case{"at least one block", [=](KernelSpec& s) { s.min_blocks = huge; }},
      Case{"needs finished sums of a forward pass: transpose_weights with this output has none",
           [](KernelSpec& s) { s.kind = KernelKind::transpose_weights, s.epilogue = "relu(acc)"; }},
      Case{"needs finished sums of a forward pass: implicit_gemm with this output has none",
           [](KernelSpec& s) {
             s.output = OutputType::partial, s.output_vector_bytes = 16, s.epilogue = "relu(acc)";
           }},
      Case{"sm_80 has no mma.sync for f32",
           [](KernelSpec& s) { s.compute = ElementType::f32, s.k_tile = 16; }},
      Case{"sm_75 has no mma.sync for bf16",
           [](KernelSpec& s) {
             s.compute = ElementType::bf16, s.architecture = {7, 5, '\0'}, s.stages = 2;
           }},
      Case{"row tile must be at most 256 and a multiple of 16 rows for each of its 4 warps: it is 96",
           [](KernelSpec& s) { s.row_tile = 96; }},
      Case{"it is 2147483647", [=](KernelSpec& s) { s.row_tile = huge; }},
      Case{"multiple of 16 channels for each of its 2 warps: it is 48",
           [](KernelSpec& s) { s.column_tile = 48; }},
      Case{"16 elements of f16 are 32 bytes", [](KernelSpec& s) { s.k_tile = 16; }},
      Case{"64 or 128 bytes", [=](KernelSpec& s) { s.k_tile = huge; }},
      Case{"32 threads do not cover whole tile rows of 64 vectors of 2 bytes",
           [](KernelSpec& s) {
             s.warps_m = s.warps_n = 1, s.row_tile = 16, s.column_tile = 16, s.k_tile = 64;
             s.feats_vector_bytes = s.weight_vector_bytes = 2, s.stages = 2;
           }},
      Case{"there are 1", [](KernelSpec& s) { s.stages = 1; }},
      Case{"2 to 8 stages", [=](KernelSpec& s) { s.stages = huge; }},
      Case{"there are 4 on sm_75",
           [](KernelSpec& s) {
             s.architecture = {7, 5, '\0'};
           }},
      Case{"there are 4 on sm_80 with vectors of 2 and 16 bytes",
           [](KernelSpec& s) { s.feats_vector_bytes = 2; }},
      Case{"may use 101376",
           [](KernelSpec& s) {
             s.k_tile = 64, s.stages = 5, s.architecture = {8, 6, '\0'};
           }},
      Case{"a multiprocessor of sm_86 has 102400",
           [](KernelSpec& s) {
             s.stages = 5, s.architecture = {8, 6, '\0'};
           }},
      Case{"it would spill", [](KernelSpec& s) { s.row_tile = 256, s.column_tile = 256, s.min_blocks = 1; }});
  KernelSpec spec = valid_spec();
  test.change(spec);
  const auto reason = rejection(spec);
  REQUIRE(reason);
  CHECK_THAT(*reason, ContainsSubstring(test.reason));
  CHECK_THROWS_MATCHES(emit(spec), std::invalid_argument, MessageMatches(ContainsSubstring(*reason)));
}

TEST_CASE("an invalid grad_weight spec is rejected with the reason and the values") {
  const char* valid =
      "grad_weight.f16.wgmma.ci64.co128.v27.g3.t64x64x64.s3.w4x1.b1.vec16.16.16.bias0.partial.sm_90a";
  REQUIRE_FALSE(rejection(parse_spec(valid)));
  const Case test = GENERATE_COPY(
      Case{"a block takes 1 to 27 kernel offsets: it has 0", [](KernelSpec& s) { s.offsets = 0; }},
      Case{"it has 28", [](KernelSpec& s) { s.offsets = 28; }},
      Case{"16 output channels for each of its 4 warps: it is 32", [](KernelSpec& s) { s.row_tile = 32; }},
      Case{"must be all 64 input channels or a multiple of 16 of them, at most 256: it is 40",
           [](KernelSpec& s) { s.column_tile = 40; }},
      Case{"a block of 3 offsets takes all 64 input channels of each: its column tile is 32",
           [](KernelSpec& s) { s.column_tile = 32; }},
      Case{"at most 512 columns: 9 offsets of 64 channels",
           [](KernelSpec& s) { s.offsets = 9, s.mma = MmaPath::mma_sync; }},
      Case{"32 or 64 pairs, one or two blocks of the pair list: it is 16",
           [](KernelSpec& s) { s.k_tile = 16; }},
      Case{"32 pairs and 3 stages: vectors have 8 and 16 bytes",
           [](KernelSpec& s) { s.compute = ElementType::tf32, s.k_tile = 32, s.feats_vector_bytes = 8; }},
      Case{"at most 256 columns wide", [](KernelSpec& s) { s.offsets = 5; }},
      Case{"grad_out (16 bytes) does not divide a row of 40 bytes",
           [](KernelSpec& s) { s.out_channels = 20; }},
      Case{"the output (16 bytes) does not divide a row of 24 bytes",
           [](KernelSpec& s) { s.in_channels = 6, s.column_tile = 6, s.feats_vector_bytes = 4; }},
      Case{"needs cp.async with vectors of at least 4 bytes and 3 stages",
           [](KernelSpec& s) { s.stages = 2; }},
      Case{"may use 232448", [](KernelSpec& s) { s.stages = 8; }},
      Case{"it would spill", [](KernelSpec& s) { s.mma = MmaPath::mma_sync, s.warps_m = 1; }});
  KernelSpec spec = parse_spec(valid);
  test.change(spec);
  const auto reason = rejection(spec);
  REQUIRE(reason);
  CHECK_THAT(*reason, ContainsSubstring(test.reason));
  CHECK_THROWS_MATCHES(emit(spec), std::invalid_argument, MessageMatches(ContainsSubstring(*reason)));
}

TEST_CASE("persistent_gemm takes wide wgmma tiles with whole vectors, and alone chains groups") {
  const KernelSpec spec = parse_spec(
      "persistent_gemm.f16.wgmma.ci256.co256.v27.t128x256x64.s4.w8x1.b1.vec16.16.16.bias_f32.chained.sm_90a");
  CHECK_FALSE(rejection(spec));
  const auto refused = [](KernelSpec changed, const char* reason) {
    const auto found = rejection(changed);
    INFO(to_string(changed) << ": " << found.value_or("accepted"));
    CHECK((found && found->find(reason) != std::string::npos));
  };
  KernelSpec changed = spec;
  changed.kind = KernelKind::implicit_gemm;
  refused(changed, "only persistent_gemm chains");
  changed = spec;
  changed.output_vector_bytes = 8;  // the output's address allows no more
  refused(changed, "stores 16 bytes at a time");
  changed.compute = ElementType::tf32;
  changed.k_tile = 32;
  CHECK_FALSE(rejection(changed));
  changed.output_vector_bytes = 4;
  refused(changed, "stores 8 bytes at a time");
  changed = spec;
  changed.in_channels = 252;
  changed.feats_vector_bytes = changed.weight_vector_bytes = 8;
  refused(changed, "16 bytes at a time");
  changed = spec;
  changed.out_channels = 252;
  changed.output_vector_bytes = 8;
  refused(changed, "8 channels a lane");
  changed = spec;
  changed.row_tile = 256;
  changed.warps_m = 16;
  changed.column_tile = 64;
  refused(changed, "consumer warpgroups");
  changed = spec;
  changed.architecture = {9, 0, '\0'};
  refused(changed, "no wgmma");
}

TEST_CASE("clusters are pairs of persistent_gemm's blocks, each with whole row blocks of its own") {
  const KernelSpec pair = parse_spec(
      "persistent_gemm.f16.wgmma.ci256.co256.v27.t256x256x64.s4.w8x1.b1.c2.vec16.16.16.bias0.storage.sm_90a");
  const KernelSpec block = parse_spec(
      "persistent_gemm.f16.wgmma.ci256.co256.v27.t128x256x64.s4.w8x1.b1.vec16.16.16.bias0.storage.sm_90a");
  CHECK_FALSE(rejection(pair));
  CHECK(launch_shape(pair).shared_bytes < launch_shape(block).shared_bytes);  // no ring of claimed items
  const auto refused = [](const KernelSpec& spec, const char* reason) {
    const auto given = rejection(spec);
    REQUIRE(given.has_value());
    CHECK_THAT(*given, ContainsSubstring(reason));
  };
  KernelSpec changed = pair;
  changed.cluster = 3;
  refused(changed, "clusters of 3");
  changed = pair;
  changed.cluster = 0;
  refused(changed, "clusters of 0");
  changed = pair;
  changed.output = OutputType::chained;
  refused(changed, "without chained groups");
  changed = pair;
  changed.kind = KernelKind::implicit_gemm;
  refused(changed, "pairs of blocks of persistent_gemm");
  changed = pair;
  changed.row_tile = 192;
  refused(changed, "multiple of 64 rows");
  changed.row_tile = 128;
  refused(changed, "multiple of 16 rows for each of its 8 warps: it is 64");
}

TEST_CASE("groups of offsets are chained for wide layers of few rows alone") {
  const auto groups = [](int channels, std::int64_t rows, int volume) {
    const GemmProblem problem{.architecture = {9, 0, 'a'},
                              .compute = ElementType::f16,
                              .in_channels = channels,
                              .out_channels = channels,
                              .volume = volume,
                              .rows = rows,
                              .unoffered = true};
    for (const KernelSpec& spec : gemm_candidates(problem, OutputType::storage)) {
      if (spec.kind == KernelKind::persistent_gemm) return default_groups(problem, spec);
    }
    return 0;
  };
  CHECK(groups(1024, 15'000, 27) == 3);
  CHECK(groups(1024, 100'000, 27) == 1);
  CHECK(groups(512, 15'000, 27) == 1);
  CHECK(groups(1024, 15'000, 1) == 1);
  CHECK(groups(1024, 15'000, 125) == 1);  // no masks for more than 32 offsets
}

TEST_CASE("MN-major weights are persistent_gemm's in 16 bits, in whole boxes and rows of whole vectors") {
  const KernelSpec spec = parse_spec(
      "persistent_gemm.bf16.wgmma.ci72.co136.v27.t128x128x64.s4.w8x1.b1.mn.vec16.16.16.bias0.storage.sm_90a");
  CHECK_FALSE(rejection(spec));
  const auto refused = [](const KernelSpec& changed, const char* reason) {
    const auto found = rejection(changed);
    INFO(to_string(changed) << ": " << found.value_or("accepted"));
    CHECK((found && found->find(reason) != std::string::npos));
  };
  KernelSpec changed = spec;
  changed.kind = KernelKind::implicit_gemm;
  refused(changed, "MN-major weights are for persistent_gemm");
  changed = spec;
  changed.compute = ElementType::tf32;
  changed.k_tile = 32;
  refused(changed, "in 16 bits");
  changed = spec;
  changed.row_tile = 256;
  changed.cluster = 2;
  refused(changed, "with clusters of 2");
  changed = spec;
  changed.column_tile = 96;
  refused(changed, "a multiple of 64 columns");
  changed = spec;
  changed.out_channels = 132;
  changed.output_vector_bytes = 8;
  refused(changed, "a vector of weights (16 bytes) does not divide a row of 264 bytes");
}
