#include <algorithm>
#include <set>
#include <stdexcept>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "codegen/emit.hpp"
#include "codegen/resources.hpp"
#include "spec_sets.hpp"

using namespace flexgemm::codegen;

namespace {

const char* any_architecture() {
  return GENERATE("sm_75", "sm_80", "sm_86", "sm_87", "sm_88", "sm_89", "sm_90", "sm_90a", "sm_100a",
                  "sm_103a", "sm_110a", "sm_120a", "sm_121a");
}

GemmProblem wide_problem() {
  return {.architecture = {9, 0, 'a'},
          .compute = ElementType::f16,
          .in_channels = 256,
          .out_channels = 256,
          .volume = 27,
          .rows = 250'000};
}

std::int64_t blocks(const GemmProblem& problem, const KernelSpec& spec) {
  return (problem.rows + spec.row_tile - 1) / spec.row_tile * launch_shape(spec).column_tiles;
}

}  // namespace

TEST_CASE("every problem has candidates: valid, distinct, of the problem's own constants, at most 25") {
  const Architecture architecture = parse_architecture(any_architecture());
  INFO(to_string(architecture));
  for (const auto& [problem, output] : flexgemm::test::representative_problems(architecture)) {
    const std::vector<KernelSpec> specs = gemm_candidates(problem, output);
    REQUIRE(!specs.empty());
    CHECK(specs.size() <= 25);
    CHECK(std::set<KernelSpec>(specs.begin(), specs.end()).size() == specs.size());
    for (const KernelSpec& spec : specs) {
      if (const auto reason = rejection(spec)) FAIL(to_string(spec) << ": " << *reason);
      CHECK((spec.in_channels == problem.in_channels && spec.out_channels == problem.out_channels &&
             spec.volume == problem.volume && spec.compute == problem.compute && spec.output == output &&
             spec.architecture == problem.architecture));
      CHECK((spec.mma == MmaPath::ffma) == !architecture.has_mma_sync(problem.compute));
      if (spec.mma == MmaPath::wgmma) CHECK(architecture.has_wgmma(problem.compute));
    }
  }
}

TEST_CASE("the helper kernels of every problem are valid") {
  const Architecture architecture = parse_architecture(any_architecture());
  for (const auto& [problem, output] : flexgemm::test::representative_problems(architecture)) {
    CHECK_FALSE(rejection(gather_rows_spec(problem)));
    CHECK_FALSE(rejection(reduce_partials_spec(problem)));
  }
}

TEST_CASE("the default is the first candidate, a pure function of the problem") {
  const GemmProblem problem = wide_problem();
  CHECK(default_gemm(problem, OutputType::storage) == gemm_candidates(problem, OutputType::storage).front());
  CHECK(default_gemm(problem, OutputType::storage) == default_gemm(problem, OutputType::storage));
}

TEST_CASE("wide layers get wide blocks, narrow layers several light blocks a multiprocessor") {
  GemmProblem problem = wide_problem();
  const KernelSpec wide = default_gemm(problem, OutputType::storage);
  CHECK(wide.row_tile * wide.column_tile >= 128 * 128);
  problem.in_channels = problem.out_channels = 64;
  problem.rows = 1'000'000;
  const KernelSpec narrow = default_gemm(problem, OutputType::storage);
  CHECK(narrow.column_tile == 64);
  CHECK(narrow.row_tile * narrow.column_tile <= 128 * 64);
  CHECK(narrow.min_blocks >= 2);
}

TEST_CASE("a scene too small for large tiles gets tiles that give more multiprocessors a block") {
  GemmProblem problem = wide_problem();
  const KernelSpec large = default_gemm(problem, OutputType::storage);
  problem.rows = 1'000;
  const KernelSpec small = default_gemm(problem, OutputType::storage);
  CHECK(blocks(problem, small) > blocks(problem, large));
}

TEST_CASE("column tiles do not exceed the output channels rounded up to a power of two, 16 at least") {
  GemmProblem problem = wide_problem();
  const auto [out_channels, widest] = GENERATE(std::pair{1, 16}, std::pair{16, 16}, std::pair{17, 32},
                                               std::pair{64, 64}, std::pair{96, 128}, std::pair{1024, 256});
  problem.out_channels = out_channels;
  int found = 0;
  for (const KernelSpec& spec : gemm_candidates(problem, OutputType::storage)) {
    found = std::max(found, spec.column_tile);
  }
  CHECK(found == widest);
}

TEST_CASE("vectors are as wide as channels and pointers allow, and no wider") {
  GemmProblem problem = wide_problem();
  struct Row {
    int channels;
    int alignment;
    int bytes;
  };
  const auto [channels, alignment, bytes] =
      GENERATE(Row{256, 16, 16}, Row{256, 8, 8}, Row{256, 2, 2}, Row{4, 16, 8}, Row{6, 16, 4}, Row{3, 16, 2});
  problem.in_channels = problem.out_channels = channels;
  problem.feats_alignment = problem.output_alignment = alignment;
  const KernelSpec spec = default_gemm(problem, OutputType::storage);
  CHECK(spec.feats_vector_bytes == bytes);
  CHECK(spec.output_vector_bytes == bytes);
  CHECK(default_gemm(problem, OutputType::partial).output_vector_bytes ==
        std::max(4, std::min(alignment, 2 * bytes)));
}

TEST_CASE("a pointer's own misalignment decides the width of its loads, even below an element's alignment") {
  GemmProblem problem = wide_problem();
  problem.weight_alignment = 4;
  CHECK(default_gemm(problem, OutputType::storage).weight_vector_bytes == 4);
  CHECK(default_gemm(problem, OutputType::storage).feats_vector_bytes == 16);
}

TEST_CASE("splits fill the device within 2 to 16 and leave every split work") {
  GemmProblem problem = wide_problem();
  problem.in_channels = 1024;
  problem.rows = 192;
  const KernelSpec small = default_gemm(problem, OutputType::partial);
  const int many = default_splits(problem, small);
  CHECK(blocks(problem, small) * many >=
        std::min<std::int64_t>(problem.multiprocessors, blocks(problem, small) * 16));
  problem.rows = 1'000'000;
  CHECK(default_splits(problem, default_gemm(problem, OutputType::partial)) == 2);
  problem.in_channels = 3;
  problem.volume = 1;
  problem.rows = 10;
  CHECK(default_splits(problem, default_gemm(problem, OutputType::partial)) == 2);
  CHECK(many <= 16);
}

TEST_CASE("a problem without kernels is refused with its values") {
  GemmProblem problem = wide_problem();
  problem.in_channels = 0;
  CHECK_THROWS_MATCHES(gemm_candidates(problem, OutputType::storage), std::invalid_argument,
                       Catch::Matchers::MessageMatches(Catch::Matchers::ContainsSubstring("0 input")));
}

TEST_CASE("a grad_weight block takes several offsets of few channels, and part of one of many") {
  GemmProblem problem = wide_problem();
  problem.kind = KernelKind::grad_weight;
  problem.in_channels = 1024;
  for (const KernelSpec& spec : gemm_candidates(problem, OutputType::partial)) CHECK(spec.offsets == 1);
  problem.in_channels = 3;
  problem.out_channels = 16;
  for (const KernelSpec& spec : gemm_candidates(problem, OutputType::partial)) {
    CHECK(spec.offsets > 1);
    CHECK(spec.column_tile == 3);
    CHECK(spec.row_tile == 16);
  }
}

TEST_CASE("grad_weight is split until the device is full, and not where it is full by itself") {
  GemmProblem problem = wide_problem();
  problem.kind = KernelKind::grad_weight;
  problem.in_channels = problem.out_channels = 64;
  const KernelSpec narrow = default_gemm(problem, OutputType::partial);
  const int parts = gradient_shares(narrow, default_splits(problem, narrow), problem.multiprocessors);
  CHECK(launch_shape(narrow).tiles * parts >= problem.multiprocessors);
  // Whole rounds of blocks: no last one that is nearly empty.
  const std::int64_t slots = std::int64_t{problem.multiprocessors} * narrow.min_blocks;
  CHECK(launch_shape(narrow).tiles * parts % slots == 0);
  problem.rows = 100;
  CHECK(default_splits(problem, narrow) == 1);
  problem.in_channels = problem.out_channels = 1024;
  problem.rows = 10'000;
  CHECK(default_splits(problem, default_gemm(problem, OutputType::partial)) == 1);
}

TEST_CASE("resident kernels are candidates of maps that serve their layout alone") {
  GemmProblem problem = wide_problem();
  problem.kind = KernelKind::grad_weight;
  problem.architecture = parse_architecture("sm_90a");
  problem.compute = ElementType::f16;
  problem.in_channels = problem.out_channels = 64;
  problem.volume = 27;
  problem.rows = 1'000'000;
  const auto resident = [&](OutputType output) {
    std::vector<KernelSpec> specs = gemm_candidates(problem, output);
    std::erase_if(specs, [](const KernelSpec& spec) { return !is_resident(spec.kind); });
    return specs;
  };
  CHECK(resident(OutputType::partial).empty());
  problem.resident = true;
  CHECK(resident(OutputType::storage).empty());  // it writes partial sums
  const std::vector<KernelSpec> specs = resident(OutputType::partial);
  REQUIRE_FALSE(specs.empty());
  for (const KernelSpec& spec : specs) {
    INFO(to_string(spec));
    CHECK(resident_capacity(spec) >= spec.row_tile);
    CHECK(shared_bytes(spec) <= spec.architecture.shared_bytes_per_block());
    CHECK(spec.min_blocks * resident_shared_bytes(spec) <=
          spec.architecture.shared_bytes_per_multiprocessor());
    CHECK(default_splits(problem, spec) > 1);
  }
  problem.volume = 125;  // more than a mask has bits
  CHECK(resident(OutputType::partial).empty());
  problem.volume = 27;
  problem.compute = ElementType::tf32;  // ldmatrix cannot transpose it
  CHECK(resident(OutputType::partial).empty());
}

TEST_CASE(
    "grad_input's weights may be read as they are given by persistent_gemm in 16 bits, where they suit") {
  GemmProblem problem{.architecture = parse_architecture("sm_90a"),
                      .compute = ElementType::f16,
                      .in_channels = 256,
                      .out_channels = 256,
                      .volume = 27,
                      .rows = 20'000};
  struct Counts {
    int given = 0;
    int transposed = 0;
  };
  const auto persistent = [&problem] {
    Counts counts;
    for (const OutputType output : {OutputType::storage, OutputType::partial}) {
      for (const KernelSpec& spec : gemm_candidates(problem, output)) {
        const bool given = spec.weight_major == WeightMajor::mn;
        if (spec.kind == KernelKind::persistent_gemm) ++(given ? counts.given : counts.transposed);
        CHECK((!given || spec.kind == KernelKind::persistent_gemm));
      }
    }
    return counts;
  };
  const Counts forward = persistent();
  CHECK(forward.given == 0);
  CHECK(forward.transposed > 0);
  problem.given_weight_alignment = 16;
  CHECK(persistent().given == forward.transposed);
  CHECK(persistent().transposed == forward.transposed);  // for the tuner to compare
  problem.out_channels = 200;
  CHECK(persistent().given > 0);
  problem.given_weight_alignment = 8;
  CHECK(persistent().given == 0);
  problem.given_weight_alignment = 16;
  problem.compute = ElementType::tf32;
  CHECK(persistent().given == 0);
}
