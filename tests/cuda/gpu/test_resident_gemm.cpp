#include <utility>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "pinned_layer.hpp"

using namespace flexgemm;
using namespace flexgemm::cuda_test;

TEST_CASE("resident kernels compute the reference's convolution, bit for bit alike in two runs") {
  const DType dtype = GENERATE(DType::f16, DType::bf16);
  const std::int64_t rows = GENERATE(1, 129, 2500);
  using Channels = std::pair<std::int64_t, std::int64_t>;
  const auto [in_channels, out_channels] = GENERATE(Channels{64, 64}, Channels{32, 24}, Channels{16, 16});
  PinnedLayer layer(dtype, rows, in_channels, out_channels);
  const auto specs = layer.specs(codegen::KernelKind::resident_gemm, codegen::OutputType::storage);
  REQUIRE(!specs.empty());
  for (const auto& spec : specs) layer.run({.algorithm = Algorithm::masked_implicit_gemm, .spec = spec});
}

TEST_CASE("resident kernels compute the reference's gradient of the input") {
  PinnedLayer layer(GENERATE(DType::f16, DType::bf16), 1700, 64, 32, Op::grad_input);
  const auto specs = layer.specs(codegen::KernelKind::resident_gemm, codegen::OutputType::storage);
  REQUIRE(!specs.empty());
  for (const auto& spec : specs) layer.run({.algorithm = Algorithm::masked_implicit_gemm, .spec = spec});
}
