#include <cmath>
#include <memory>
#include <random>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <flexgemm/flexgemm.hpp>

#include "cuda/gemm_pass.hpp"
#include "reference/reference.hpp"
#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::cuda_test;

namespace {

constexpr Box box{.grid = {.batch = 2, .x = 24, .y = 24, .z = 24}, .extent = 24};

/// One float convolution in device memory with its reference.
struct Layer {
  std::shared_ptr<detail::CudaBackend> backend;
  std::int64_t rows;
  Conv3dOptions conv;
  std::vector<std::int32_t> coords;
  std::vector<float> feats, weight, bias;
  std::unique_ptr<OnDevice<std::int32_t>> device_coords;
  std::unique_ptr<OnDevice<float>> device_feats, device_weight, device_bias, device_out;
  std::shared_ptr<const detail::CudaMap> map;
  std::vector<double> expected;

  Layer(std::int64_t row_count, std::int64_t in_channels, std::int64_t out_channels)
      : backend(open_gpu()),
        rows(row_count),
        conv{.in_channels = in_channels, .out_channels = out_channels},
        coords(random_coords(box, row_count, 41)) {
    std::mt19937 random(42);
    const auto fill = [&random](std::int64_t count) {
      std::vector<float> values(static_cast<std::size_t>(count));
      for (float& value : values) value = std::normal_distribution<float>()(random);
      return values;
    };
    feats = fill(rows * in_channels);
    weight = fill(out_channels * 27 * in_channels);
    bias = fill(out_channels);
    device_coords = std::make_unique<OnDevice<std::int32_t>>(backend, coords);
    device_feats = std::make_unique<OnDevice<float>>(backend, feats);
    device_weight = std::make_unique<OnDevice<float>>(backend, weight);
    device_bias = std::make_unique<OnDevice<float>>(backend, bias);
    map = build_map(*backend, device_coords->data(), rows, box.grid, {});
    const auto indices = to_host(*backend, map->indices(), rows * 27);
    const auto wide = [](const std::vector<float>& values) {
      return std::vector<double>(values.begin(), values.end());
    };
    expected = reference::forward({indices.data(), rows, 27}, wide(feats).data(), wide(weight).data(),
                                  wide(bias).data(), in_channels, out_channels);
  }

  detail::ForwardArguments arguments() {
    const std::vector<float> poison(static_cast<std::size_t>(rows * conv.out_channels), std::nanf(""));
    device_out = std::make_unique<OnDevice<float>>(backend, poison);
    return {.conv = &conv,
            .map = map.get(),
            .feats = device_feats->data(),
            .weight = device_weight->data(),
            .bias = device_bias->data(),
            .bias_dtype = DType::f32,
            .out = device_out->data()};
  }
  double error() const {
    const auto out = to_host(*backend, device_out->data(), rows * conv.out_channels);
    return reference::relative_error({out.begin(), out.end()}, expected);
  }
};

}  // namespace

TEST_CASE("every algorithm computes the reference's convolution") {
  Layer layer(GENERATE(1, 129, 3000), GENERATE(16, 5), 24);
  layer.conv.algorithm = GENERATE(Algorithm::automatic, Algorithm::explicit_gemm, Algorithm::implicit_gemm,
                                  Algorithm::implicit_gemm_splitk, Algorithm::masked_implicit_gemm,
                                  Algorithm::masked_implicit_gemm_splitk);
  layer.backend->forward(layer.arguments(), {});
  CHECK(layer.error() <= reference::tolerance(DType::f32));
  const KernelChoice choice = layer.backend->choice(layer.conv, *layer.map, Op::forward);
  CHECK((layer.conv.algorithm == Algorithm::automatic || choice.algorithm == layer.conv.algorithm));
  CHECK(choice.algorithm != Algorithm::automatic);
}

TEST_CASE("every number of splits computes the reference's convolution") {
  Layer layer(500, 32, 16);
  const int splits = GENERATE(2, 3, 7, 16);
  const detail::GemmPass pass = detail::forward_pass(layer.arguments());
  const detail::ContextScope scope(layer.backend->cuda_device());
  const auto problem = detail::gemm_problem(detail::target_of(layer.backend->cuda_device()),
                                            detail::shape_of(pass), Algorithm::masked_implicit_gemm_splitk);
  const detail::GemmChoice choice{.algorithm = Algorithm::masked_implicit_gemm_splitk,
                                  .spec = codegen::default_gemm(problem, codegen::OutputType::partial),
                                  .splits = splits};
  detail::run_pass(layer.backend->kernels(), pass, choice, Stream{});
  CHECK(layer.error() <= reference::tolerance(DType::f32));
}

TEST_CASE("explicit_gemm runs over several chunks of rows") {
  Layer layer(20'000, 160, 8);  // 20,000 rows of 27 * 160 floats are 346 MB: two chunks
  REQUIRE(layer.rows * 27 * 160 * 4 > detail::explicit_workspace_bytes);
  layer.conv.algorithm = Algorithm::explicit_gemm;
  layer.backend->forward(layer.arguments(), {});
  CHECK(layer.error() <= reference::tolerance(DType::f32));
}

TEST_CASE("a kernel is loaded once, and a spec that cannot be built is refused") {
  Layer layer(100, 16, 16);
  const detail::ContextScope scope(layer.backend->cuda_device());
  codegen::KernelSpec spec = detail::choose_gemm(detail::target_of(layer.backend->cuda_device()),
                                                 detail::shape_of(detail::forward_pass(layer.arguments())))
                                 .spec;
  CHECK(&layer.backend->kernels().get(spec) == &layer.backend->kernels().get(spec));
  spec.row_tile = 7;
  try {
    layer.backend->kernels().get(spec);
    FAIL("a row tile of 7 was accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unsupported);
  }
}
