#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <utility>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <flexgemm/flexgemm.hpp>
#include <flexgemm/half.hpp>

#include "codegen/candidates.hpp"
#include "codegen/emit.hpp"
#include "cuda/gemm_pass.hpp"
#include "reference/reference.hpp"
#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::cuda_test;

namespace {

constexpr Box box{.grid = {.batch = 1, .x = 20, .y = 20, .z = 20}, .extent = 20};

/// The bits of a value in a type of 16 bits, and back.
std::uint16_t narrow(float value, DType dtype) {
  return dtype == DType::f16 ? to_f16(value).bits : to_bf16(value).bits;
}
float widen(std::uint16_t bits, DType dtype) {
  return dtype == DType::f16 ? to_float(f16{bits}) : to_float(bf16{bits});
}

std::vector<double> rounded(const std::vector<float>& values, DType dtype) {
  std::vector<double> result(values.begin(), values.end());
  if (size_of(dtype) == 4) return result;
  for (double& value : result) {
    value = static_cast<double>(widen(narrow(static_cast<float>(value), dtype), dtype));
  }
  return result;
}

/// The values as the type stores them.
std::vector<std::uint8_t> stored(const std::vector<float>& values, DType dtype) {
  std::vector<std::uint8_t> bytes(values.size() * size_of(dtype));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (size_of(dtype) == 4) {
      std::memcpy(bytes.data() + i * 4, &values[i], 4);
    } else {
      const std::uint16_t bits = narrow(values[i], dtype);
      std::memcpy(bytes.data() + i * 2, &bits, 2);
    }
  }
  return bytes;
}

struct PersistentLayer {
  std::shared_ptr<detail::CudaBackend> backend = open_gpu();
  Conv3dOptions conv;
  std::int64_t rows;
  std::unique_ptr<OnDevice<std::int32_t>> coords;
  std::unique_ptr<OnDevice<std::uint8_t>> feats, weight, out;
  std::unique_ptr<OnDevice<float>> bias;
  std::shared_ptr<const detail::CudaMap> map;
  std::vector<double> expected;

  PersistentLayer(DType dtype, std::int64_t row_count, std::int64_t in_channels, std::int64_t out_channels)
      : conv{.in_channels = in_channels, .out_channels = out_channels, .dtype = dtype}, rows(row_count) {
    std::mt19937 random(std::random_device{}());
    const auto normal = [&random](std::int64_t count) {
      std::vector<float> values(static_cast<std::size_t>(count));
      for (float& value : values) value = std::normal_distribution<float>()(random);
      return values;
    };
    const std::vector<float> x = normal(rows * in_channels);
    const std::vector<float> w = normal(out_channels * 27 * in_channels);
    const std::vector<float> b = normal(out_channels);
    coords = std::make_unique<OnDevice<std::int32_t>>(backend, random_coords(box, rows, 51));
    feats = std::make_unique<OnDevice<std::uint8_t>>(backend, stored(x, dtype));
    weight = std::make_unique<OnDevice<std::uint8_t>>(backend, stored(w, dtype));
    bias = std::make_unique<OnDevice<float>>(backend, b);
    map = build_map(*backend, coords->data(), rows, box.grid, {});
    const auto indices = to_host(*backend, map->indices(), rows * 27);
    expected =
        reference::forward({indices.data(), rows, 27}, rounded(x, dtype).data(), rounded(w, dtype).data(),
                           rounded(b, DType::f32).data(), in_channels, out_channels);
  }

  detail::GemmPass pass() {
    const std::vector<std::uint8_t> poison(
        static_cast<std::size_t>(rows * conv.out_channels) * size_of(conv.dtype), 0xff);
    out = std::make_unique<OnDevice<std::uint8_t>>(backend, poison);
    return detail::forward_pass({.conv = &conv,
                                 .map = map.get(),
                                 .feats = feats->data(),
                                 .weight = weight->data(),
                                 .bias = bias->data(),
                                 .bias_dtype = DType::f32,
                                 .out = out->data()});
  }
  std::vector<std::uint8_t> result() const {
    return to_host(*backend, out->data(), rows * conv.out_channels * static_cast<int>(size_of(conv.dtype)));
  }
  double error() const {
    const std::vector<std::uint8_t> bytes = result();
    std::vector<double> values;
    for (std::size_t i = 0; i < bytes.size(); i += size_of(conv.dtype)) {
      float wide = 0;
      std::uint16_t bits = 0;
      if (size_of(conv.dtype) == 4) {
        std::memcpy(&wide, bytes.data() + i, 4);
      } else {
        std::memcpy(&bits, bytes.data() + i, 2);
        wide = widen(bits, conv.dtype);
      }
      values.push_back(wide);
    }
    return reference::relative_error(values, expected);
  }

  /// Every persistent_gemm among the candidates, with this output.
  std::vector<codegen::KernelSpec> specs(codegen::OutputType output) {
    auto problem = detail::gemm_problem(detail::target_of(backend->cuda_device()), detail::shape_of(pass()),
                                        Algorithm::masked_implicit_gemm);
    problem.unoffered = true;
    std::vector<codegen::KernelSpec> specs;
    if (!problem.architecture.has_wgmma(problem.compute)) SKIP("this GPU has no wgmma");
    for (const codegen::KernelSpec& spec : codegen::gemm_candidates(problem, output)) {
      if (spec.kind == codegen::KernelKind::persistent_gemm) specs.push_back(spec);
    }
    return specs;
  }
  void run(const detail::GemmChoice& choice) {
    INFO(codegen::to_string(choice.spec) << " groups " << choice.groups);
    const detail::ContextScope scope(backend->cuda_device());
    const detail::GemmPass one = pass();
    detail::run_pass(backend->kernels(), one, choice, Stream{});
    CHECK(error() <= reference::tolerance(conv.dtype));
    const std::vector<std::uint8_t> first = result();
    detail::run_pass(backend->kernels(), pass(), choice, Stream{});
    CHECK(result() == first);
  }
};

}  // namespace

TEST_CASE("persistent kernels compute the reference's convolution, bit for bit alike in two runs") {
  const DType dtype = GENERATE(DType::f16, DType::bf16, DType::tf32);
  const std::int64_t rows = GENERATE(1, 129, 2500);
  using Channels = std::pair<std::int64_t, std::int64_t>;
  const auto [in_channels, out_channels] =
      GENERATE(Channels{128, 256}, Channels{104, 136}, Channels{256, 128});
  PersistentLayer layer(dtype, rows, in_channels, out_channels);
  const auto specs = layer.specs(codegen::OutputType::storage);
  REQUIRE(!specs.empty());
  for (const auto algorithm : {Algorithm::masked_implicit_gemm, Algorithm::implicit_gemm}) {
    for (const auto& spec : specs) layer.run({.algorithm = algorithm, .spec = spec});
  }
}

TEST_CASE("chained groups of offsets add up to the reference's convolution, alike in every run") {
  const DType dtype = GENERATE(DType::f16, DType::tf32);
  const std::int64_t rows = GENERATE(1, 129, 6000);
  PersistentLayer layer(dtype, rows, 128, 256);
  const auto specs = layer.specs(codegen::OutputType::chained);
  REQUIRE(!specs.empty());
  for (const auto& spec : specs) {
    for (const int groups : {1, 2, 3, 27}) {
      layer.run({.algorithm = Algorithm::masked_implicit_gemm, .spec = spec, .groups = groups});
    }
  }
}

TEST_CASE("partial groups of offsets add up to the reference's convolution") {
  PersistentLayer layer(DType::f16, GENERATE(1, 500), 128, 256);
  for (const auto& spec : layer.specs(codegen::OutputType::partial)) {
    for (const auto algorithm : {Algorithm::masked_implicit_gemm_splitk, Algorithm::implicit_gemm_splitk}) {
      for (const int groups : {2, 9, 27}) {
        layer.run({.algorithm = algorithm, .spec = spec, .splits = groups, .groups = groups});
      }
    }
  }
}
