#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "pinned_layer.hpp"

using namespace flexgemm;
using namespace flexgemm::cuda_test;

// What compute-sanitizer can go through in a minute: test_persistent.cpp's cases take it hours.
TEST_CASE("one persistent kernel of every output and weight order computes the reference's result") {
  const DType dtype = GENERATE(DType::f16, DType::tf32);
  const Op op = GENERATE(Op::forward, Op::grad_input);
  CAPTURE(name(dtype), name(op));
  PinnedLayer layer(dtype, 300, 192, 192, op);
  const auto first = [&](codegen::OutputType output) {
    const auto specs = layer.specs(codegen::KernelKind::persistent_gemm, output);
    REQUIRE(!specs.empty());
    return specs.front();
  };
  layer.run({.algorithm = Algorithm::masked_implicit_gemm, .spec = first(codegen::OutputType::storage)});
  layer.run({.algorithm = Algorithm::masked_implicit_gemm,
             .spec = first(codegen::OutputType::chained),
             .groups = 3});
  layer.run({.algorithm = Algorithm::masked_implicit_gemm_splitk,
             .spec = first(codegen::OutputType::partial),
             .splits = 3,
             .groups = 3});
}
