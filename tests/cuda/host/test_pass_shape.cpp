#include <catch2/catch_test_macros.hpp>

#include "choice/pass_shape.hpp"

using namespace flexgemm;
using namespace flexgemm::detail;
using codegen::KernelKind;

namespace {

const TargetDevice hopper{.architecture = codegen::parse_architecture("sm_90a"), .multiprocessors = 132};

PassShape layer(std::int64_t rows, Algorithm algorithm = Algorithm::automatic) {
  PassShape pass;
  pass.in_channels = 64;
  pass.out_channels = 64;
  pass.volume = 27;
  pass.dtype = DType::f16;
  pass.algorithm = algorithm;
  pass.rows = rows;
  pass.pairs = 8 * rows;
  return pass;
}

}  // namespace

TEST_CASE("a choice obeys the pinned algorithm and names every kernel that its pass asks for") {
  for (const Algorithm algorithm :
       {Algorithm::explicit_gemm, Algorithm::implicit_gemm, Algorithm::implicit_gemm_splitk,
        Algorithm::masked_implicit_gemm, Algorithm::masked_implicit_gemm_splitk}) {
    CAPTURE(name(algorithm));
    const PassShape pass = layer(100000, algorithm);
    const GemmChoice choice = choose_gemm(hopper, pass);
    CHECK(choice.algorithm == algorithm);
    const bool split =
        algorithm == Algorithm::implicit_gemm_splitk || algorithm == Algorithm::masked_implicit_gemm_splitk;
    const std::vector<codegen::KernelSpec> kernels = kernels_of(hopper, pass, choice);
    REQUIRE(kernels.size() == (split || algorithm == Algorithm::explicit_gemm ? 2U : 1U));
    CHECK(kernels[0] == choice.spec);
    CHECK((choice.splits > 1) == split);
    if (split) CHECK(kernels[1].kind == KernelKind::reduce_partials);
    if (algorithm == Algorithm::explicit_gemm) CHECK(kernels[1].kind == KernelKind::gather_rows);
  }
}

TEST_CASE("left to the library, few rows take a split reduction and one offset none") {
  CHECK(choose_gemm(hopper, layer(500)).algorithm == Algorithm::masked_implicit_gemm_splitk);
  PassShape pointwise = layer(500);
  pointwise.volume = 1;
  CHECK(choose_gemm(hopper, pointwise).algorithm == Algorithm::implicit_gemm);
}

TEST_CASE("a choice with a bias keeps it for the kernel that finishes the rows") {
  PassShape pass = layer(500);
  pass.bias = codegen::BiasType::f32;
  const std::vector<codegen::KernelSpec> kernels = kernels_of(hopper, pass, choose_gemm(hopper, pass));
  REQUIRE(kernels.size() == 2);
  CHECK(kernels[0].bias == codegen::BiasType::none);
  CHECK(kernels[1].bias == codegen::BiasType::f32);
}

TEST_CASE("grad_input swaps the channels and transposes the weights by a kernel of its own") {
  PassShape pass = layer(100000);
  pass.op = Op::grad_input;
  pass.out_channels = 32;
  pass.second_alignment = 4;  // of the layer's weights; their transpose lies in the library's memory
  const GemmChoice choice = choose_gemm(hopper, pass);
  CHECK(choice.spec.in_channels == 32);
  CHECK(choice.spec.out_channels == 64);
  CHECK(choice.spec.weight_vector_bytes == 16);
  const std::vector<codegen::KernelSpec> kernels = kernels_of(hopper, pass, choice);
  REQUIRE(kernels.back().kind == KernelKind::transpose_weights);
  CHECK(kernels.back().in_channels == 64);
  CHECK(kernels.back().feats_vector_bytes == 4);
}

TEST_CASE(
    "grad_input of few rows of wide layers in 16 bits reads the weights as they are given, and transposes "
    "none") {
  PassShape pass = layer(2000);
  pass.op = Op::grad_input;
  pass.in_channels = 512;
  pass.out_channels = 256;
  const GemmChoice choice = choose_gemm(hopper, pass);
  CHECK(choice.spec.kind == KernelKind::persistent_gemm);
  CHECK(choice.spec.weight_major == codegen::WeightMajor::mn);
  for (const codegen::KernelSpec& spec : kernels_of(hopper, pass, choice))
    CHECK(spec.kind != KernelKind::transpose_weights);
  SECTION("unless they are not aligned") { pass.second_alignment = 8; }
  SECTION("unless explicit_gemm folds the offsets into the channels") {
    pass.algorithm = Algorithm::explicit_gemm;
  }
  SECTION("unless the type has 32 bits") { pass.dtype = DType::tf32; }
  const GemmChoice transposing = choose_gemm(hopper, pass);
  if (pass.second_alignment == 8 || pass.dtype == DType::tf32 || pass.algorithm != Algorithm::automatic) {
    CHECK(transposing.spec.weight_major == codegen::WeightMajor::k);
    CHECK(kernels_of(hopper, pass, transposing).back().kind == KernelKind::transpose_weights);
  }
}

TEST_CASE("grad_weight is reduced where it is split, and where 16 bits would round a long sum") {
  for (const Algorithm algorithm :
       {Algorithm::explicit_gemm, Algorithm::implicit_gemm, Algorithm::implicit_gemm_splitk,
        Algorithm::masked_implicit_gemm, Algorithm::masked_implicit_gemm_splitk}) {
    for (const std::int64_t rows : {1000, 100000}) {
      for (const DType written : {DType::f16, DType::f32}) {
        CAPTURE(name(algorithm), rows, name(written));
        PassShape pass = layer(rows, algorithm);
        pass.op = Op::grad_weight;
        pass.output_dtype = written;
        const GemmChoice choice = choose_gemm(hopper, pass);
        CHECK(choice.algorithm == algorithm);
        CHECK(choice.spec.kind == KernelKind::grad_weight);
        const bool split = algorithm == Algorithm::implicit_gemm_splitk ||
                           algorithm == Algorithm::masked_implicit_gemm_splitk;
        const bool rounds = written == DType::f16 && (rows > 65536 || algorithm == Algorithm::explicit_gemm);
        CHECK(needs_reduction(pass, choice) == (split || rounds));
        CHECK((choice.splits > 1) == split);
        const std::vector<codegen::KernelSpec> kernels = kernels_of(hopper, pass, choice);
        CHECK((kernels.back().kind == KernelKind::reduce_gradient) == (split || rounds));
      }
    }
  }
}
