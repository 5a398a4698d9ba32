#pragma once

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <flexgemm/flexgemm.hpp>
#include <flexgemm/half.hpp>

#include "codegen/candidates.hpp"
#include "codegen/emit.hpp"
#include "cuda/gemm_pass.hpp"
#include "reference/reference.hpp"
#include "support.hpp"

namespace flexgemm::cuda_test {

inline constexpr Box pinned_box{.grid = {.batch = 1, .x = 20, .y = 20, .z = 20}, .extent = 20};

/// The bits of a value in a type of 16 bits, and back.
inline std::uint16_t narrow(float value, DType dtype) {
  return dtype == DType::f16 ? to_f16(value).bits : to_bf16(value).bits;
}
inline float widen(std::uint16_t bits, DType dtype) {
  return dtype == DType::f16 ? to_float(f16{bits}) : to_float(bf16{bits});
}

inline std::vector<double> rounded(const std::vector<float>& values, DType dtype) {
  std::vector<double> result(values.begin(), values.end());
  if (size_of(dtype) == 4) return result;
  for (double& value : result) {
    value = static_cast<double>(widen(narrow(static_cast<float>(value), dtype), dtype));
  }
  return result;
}

/// The values as the type stores them.
inline std::vector<std::uint8_t> stored(const std::vector<float>& values, DType dtype) {
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

/// A forward pass with a bias, or a grad_input, over random voxels, with its reference's output, to run with
/// kernels that are named.
struct PinnedLayer {
  std::shared_ptr<detail::CudaBackend> backend = open_gpu();
  Conv3dOptions conv;
  Op op;
  std::int64_t rows;
  std::unique_ptr<OnDevice<std::int32_t>> coords;
  std::unique_ptr<OnDevice<std::uint8_t>> input, weight, out;
  std::unique_ptr<OnDevice<float>> bias;
  std::shared_ptr<const detail::CudaMap> map;
  std::vector<double> expected;

  PinnedLayer(DType dtype, std::int64_t row_count, std::int64_t in_channels, std::int64_t out_channels,
              Op pass_op = Op::forward, Extent3 kernel = {3, 3, 3})
      : conv{.in_channels = in_channels, .out_channels = out_channels, .kernel = kernel, .dtype = dtype},
        op(pass_op),
        rows(row_count) {
    std::mt19937 random(std::random_device{}());
    const auto normal = [&random](std::int64_t count) {
      std::vector<float> values(static_cast<std::size_t>(count));
      for (float& value : values) value = std::normal_distribution<float>()(random);
      return values;
    };
    const std::vector<float> x = normal(rows * (is_forward() ? in_channels : out_channels));
    const std::vector<float> w = normal(out_channels * volume() * in_channels);
    const std::vector<float> b = normal(out_channels);
    coords = std::make_unique<OnDevice<std::int32_t>>(backend, random_coords(pinned_box, rows, 51));
    input = std::make_unique<OnDevice<std::uint8_t>>(backend, stored(x, dtype));
    weight = std::make_unique<OnDevice<std::uint8_t>>(backend, stored(w, dtype));
    bias = std::make_unique<OnDevice<float>>(backend, b);
    map = build_map(*backend, coords->data(), rows, pinned_box.grid, {.kernel = kernel});
    const auto indices = to_host(*backend, map->indices(), rows * volume());
    const reference::MapView view{indices.data(), rows, volume()};
    const std::vector<double> operand = rounded(x, dtype);
    const std::vector<double> weights = rounded(w, dtype);
    expected = is_forward()
                   ? reference::forward(view, operand.data(), weights.data(), rounded(b, DType::f32).data(),
                                        in_channels, out_channels)
                   : reference::grad_input(view, operand.data(), weights.data(), in_channels, out_channels);
  }

  int volume() const { return conv.kernel.x * conv.kernel.y * conv.kernel.z; }
  bool is_forward() const { return op == Op::forward; }
  std::int64_t results() const { return rows * (is_forward() ? conv.out_channels : conv.in_channels); }

  detail::GemmPass pass() {
    const std::vector<std::uint8_t> poison(static_cast<std::size_t>(results()) * size_of(conv.dtype), 0xff);
    out = std::make_unique<OnDevice<std::uint8_t>>(backend, poison);
    if (!is_forward()) {
      return detail::grad_input_pass({.conv = &conv,
                                      .map = map.get(),
                                      .grad_out = input->data(),
                                      .feats = nullptr,
                                      .weight = weight->data(),
                                      .grad_input = out->data(),
                                      .grad_weight = nullptr,
                                      .grad_weight_dtype = DType::f32,
                                      .grad_bias = nullptr,
                                      .grad_bias_dtype = DType::f32,
                                      .accumulate = false});
    }
    return detail::forward_pass({.conv = &conv,
                                 .map = map.get(),
                                 .feats = input->data(),
                                 .weight = weight->data(),
                                 .bias = bias->data(),
                                 .bias_dtype = DType::f32,
                                 .out = out->data()});
  }
  std::vector<std::uint8_t> result() const {
    return to_host(*backend, out->data(), results() * static_cast<int>(size_of(conv.dtype)));
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

  /// Every kernel of a kind among the candidates, with this output.
  std::vector<codegen::KernelSpec> specs(codegen::KernelKind kind, codegen::OutputType output) {
    auto problem = detail::gemm_problem(detail::target_of(backend->cuda_device()), detail::shape_of(pass()),
                                        Algorithm::masked_implicit_gemm);
    problem.unoffered = true;
    std::vector<codegen::KernelSpec> specs;
    if (!problem.architecture.has_wgmma(problem.compute)) SKIP("this GPU has no wgmma");
    for (const codegen::KernelSpec& spec : codegen::gemm_candidates(problem, output)) {
      if (spec.kind == kind) specs.push_back(spec);
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

}  // namespace flexgemm::cuda_test
