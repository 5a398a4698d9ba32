#include <utility>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "pinned_layer.hpp"

using namespace flexgemm;
using namespace flexgemm::cuda_test;

TEST_CASE("persistent kernels compute the reference's convolution, bit for bit alike in two runs") {
  const DType dtype = GENERATE(DType::f16, DType::bf16, DType::tf32);
  const std::int64_t rows = GENERATE(1, 129, 2500);
  using Channels = std::pair<std::int64_t, std::int64_t>;
  const auto [in_channels, out_channels] =
      GENERATE(Channels{128, 256}, Channels{104, 136}, Channels{256, 128});
  PinnedLayer layer(dtype, rows, in_channels, out_channels);
  const auto specs = layer.specs(codegen::KernelKind::persistent_gemm, codegen::OutputType::storage);
  REQUIRE(!specs.empty());
  for (const auto algorithm : {Algorithm::masked_implicit_gemm, Algorithm::implicit_gemm}) {
    for (const auto& spec : specs) layer.run({.algorithm = algorithm, .spec = spec});
  }
}

TEST_CASE("chained groups of offsets add up to the reference's convolution, alike in every run") {
  const DType dtype = GENERATE(DType::f16, DType::tf32);
  const std::int64_t rows = GENERATE(1, 129, 6000);
  PinnedLayer layer(dtype, rows, 128, 256);
  const auto specs = layer.specs(codegen::KernelKind::persistent_gemm, codegen::OutputType::chained);
  REQUIRE(!specs.empty());
  for (const auto& spec : specs) {
    for (const int groups : {1, 2, 3, 27}) {
      layer.run({.algorithm = Algorithm::masked_implicit_gemm, .spec = spec, .groups = groups});
    }
  }
}

TEST_CASE("partial groups of offsets add up to the reference's convolution") {
  PinnedLayer layer(DType::f16, GENERATE(1, 500), 128, 256);
  for (const auto& spec : layer.specs(codegen::KernelKind::persistent_gemm, codegen::OutputType::partial)) {
    for (const auto algorithm : {Algorithm::masked_implicit_gemm_splitk, Algorithm::implicit_gemm_splitk}) {
      for (const int groups : {2, 9, 27}) {
        layer.run({.algorithm = algorithm, .spec = spec, .splits = groups, .groups = groups});
      }
    }
  }
}

TEST_CASE(
    "grad_input is right by kernels that read the weights as they are given, odd kernels and even ones") {
  const DType dtype = GENERATE(DType::f16, DType::bf16);
  const std::int64_t rows = GENERATE(1, 129, 2500);
  // An odd kernel's map is its own inverse, with the offsets the other way round.
  const Extent3 kernel = GENERATE(Extent3{3, 3, 3}, Extent3{2, 2, 2}, Extent3{3, 2, 1});
  using Channels = std::pair<std::int64_t, std::int64_t>;
  const auto [in_channels, out_channels] =
      GENERATE(Channels{256, 128}, Channels{136, 104}, Channels{200, 256});
  PinnedLayer layer(dtype, rows, in_channels, out_channels, Op::grad_input, kernel);
  for (const auto output : {codegen::OutputType::storage, codegen::OutputType::chained}) {
    int mn_major = 0;
    for (const auto& spec : layer.specs(codegen::KernelKind::persistent_gemm, output)) {
      if (spec.weight_major != codegen::WeightMajor::mn) continue;
      ++mn_major;
      const int groups = output == codegen::OutputType::chained ? 3 : 1;
      layer.run({.algorithm = Algorithm::masked_implicit_gemm, .spec = spec, .groups = groups});
    }
    CHECK(mn_major > 0);
  }
}
