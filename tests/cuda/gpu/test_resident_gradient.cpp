#include <cmath>
#include <random>
#include <utility>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <flexgemm/flexgemm.hpp>
#include <flexgemm/half.hpp>

#include "codegen/candidates.hpp"
#include "codegen/emit.hpp"
#include "codegen/resources.hpp"
#include "cuda/gemm_pass.hpp"
#include "reference/reference.hpp"
#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::cuda_test;

namespace {

constexpr Box box{.grid = {.batch = 1, .x = 64, .y = 64, .z = 64}, .extent = 64};

/// Random numbers of a type of 16 bits: as it stores them, and what they are.
struct Numbers {
  std::vector<std::uint16_t> bits;
  std::vector<double> values;

  Numbers(std::int64_t count, DType dtype, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (std::int64_t i = 0; i < count; ++i) {
      const float value = normal(random);
      bits.push_back(dtype == DType::f16 ? to_f16(value).bits : to_bf16(value).bits);
      values.push_back(dtype == DType::f16 ? to_float(f16{bits.back()}) : to_float(bf16{bits.back()}));
    }
  }
};

struct GradientLayer {
  std::shared_ptr<detail::CudaBackend> backend = open_gpu();
  Conv3dOptions conv;
  std::int64_t rows;
  Numbers feats, grad_out;
  OnDevice<std::int32_t> coords;
  OnDevice<std::uint16_t> device_feats, device_grad_out;
  OnDevice<float> gradient;
  std::shared_ptr<const detail::CudaMap> map;
  std::vector<double> expected;

  GradientLayer(DType dtype, std::int64_t row_count, std::int64_t in_channels, std::int64_t out_channels)
      : conv{.in_channels = in_channels, .out_channels = out_channels, .dtype = dtype},
        rows(row_count),
        feats(rows * in_channels, dtype, 1),
        grad_out(rows * out_channels, dtype, 2),
        coords(backend, random_coords(box, rows, 51)),
        device_feats(backend, feats.bits),
        device_grad_out(backend, grad_out.bits),
        gradient(backend, std::vector<float>(static_cast<std::size_t>(out_channels * 27 * in_channels),
                                             std::nanf(""))),
        map(build_map(*backend, coords.data(), rows, box.grid, {})) {
    const auto indices = to_host(*backend, map->indices(), rows * 27);
    expected = reference::grad_weight({indices.data(), rows, 27}, grad_out.values.data(), feats.values.data(),
                                      in_channels, out_channels);
  }

  detail::GemmPass pass(bool accumulate) const {
    return detail::grad_weight_pass({.conv = &conv,
                                     .map = map.get(),
                                     .grad_out = device_grad_out.data(),
                                     .feats = device_feats.data(),
                                     .weight = nullptr,
                                     .grad_input = nullptr,
                                     .grad_weight = gradient.data(),
                                     .grad_weight_dtype = DType::f32,
                                     .grad_bias = nullptr,
                                     .grad_bias_dtype = DType::f32,
                                     .accumulate = accumulate});
  }
  std::vector<codegen::KernelSpec> specs() const {
    auto problem =
        detail::gemm_problem(detail::target_of(backend->cuda_device()), detail::shape_of(pass(false)),
                             Algorithm::masked_implicit_gemm_splitk);
    if (!problem.architecture.has_wgmma(problem.compute)) SKIP("this GPU has no wgmma");
    problem.unoffered = true;
    problem.rows = 1'000'000;  // where they are among the best, and none is left out
    std::vector<codegen::KernelSpec> specs;
    for (const auto& spec : codegen::gemm_candidates(problem, codegen::OutputType::partial)) {
      if (spec.kind == codegen::KernelKind::resident_grad_weight) specs.push_back(spec);
    }
    return specs;
  }
  std::vector<float> result() const {
    return to_host(*backend, gradient.data(), static_cast<std::int64_t>(expected.size()));
  }
  double error() const {
    const std::vector<float> values = result();
    return reference::relative_error(std::vector<double>(values.begin(), values.end()), expected);
  }
  void run(const codegen::KernelSpec& spec, int splits) {
    INFO(codegen::to_string(spec) << " splits " << splits);
    const detail::ContextScope scope(backend->cuda_device());
    const detail::GemmChoice choice{
        .algorithm = Algorithm::masked_implicit_gemm_splitk, .spec = spec, .splits = splits};
    detail::run_pass(backend->kernels(), pass(false), choice, Stream{});
    CHECK(error() <= reference::tolerance(conv.dtype));
    const std::vector<float> first = result();
    detail::run_pass(backend->kernels(), pass(false), choice, Stream{});
    CHECK(result() == first);
    detail::run_pass(backend->kernels(), pass(true), choice, Stream{});
    std::vector<float> doubled = first;
    for (float& value : doubled) value *= 2;
    const std::vector<float> sum = result();
    CHECK(reference::relative_error(std::vector<double>(sum.begin(), sum.end()),
                                    std::vector<double>(doubled.begin(), doubled.end())) <= 1e-6);
  }
};

}  // namespace

TEST_CASE("resident weight gradients are the reference's, bit for bit alike in two runs, and add up") {
  const DType dtype = GENERATE(DType::f16, DType::bf16);
  const std::int64_t rows = GENERATE(1, 129, 6000);
  using Channels = std::pair<std::int64_t, std::int64_t>;
  const auto [in_channels, out_channels] =
      GENERATE(Channels{64, 64}, Channels{32, 40}, Channels{16, 8}, Channels{128, 64});
  GradientLayer layer(dtype, rows, in_channels, out_channels);
  const auto specs = layer.specs();
  REQUIRE(!specs.empty());
  for (const auto& spec : specs) {
    layer.run(spec, 2);
    layer.run(spec, 44);
  }
}

TEST_CASE("resident weight gradients of more rows than one sum of wgmma takes pass through memory") {
  GradientLayer layer(DType::f16, 150'000, 16, 16);
  const auto specs = layer.specs();
  REQUIRE(!specs.empty());
  for (const auto& spec : specs) layer.run(spec, 2);
}
