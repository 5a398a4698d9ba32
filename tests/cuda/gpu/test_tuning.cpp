#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <flexgemm/flexgemm.hpp>

#include "cuda/tuning_device.hpp"
#include "reference/reference.hpp"
#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::cuda_test;

namespace {

constexpr Box box{.grid = {.batch = 1, .x = 40, .y = 40, .z = 40}, .extent = 40};
constexpr std::int64_t rows = 6000;

ContextOptions tuning_with(TuningPolicy policy) {
  ContextOptions options;
  options.cache.enabled = false;
  options.tuning = {.policy = policy, .budget_seconds = 20, .jobs = 0};
  return options;
}

/// A float layer through the public API, with its reference.
struct Layer {
  Context context;
  Conv3d conv;
  NeighborMap map;
  std::int64_t channels;
  Buffer feats, weight, bias, out;
  std::vector<double> expected;

  Layer(TuningPolicy policy, std::int64_t channels_each, std::int64_t skipped = 0)
      : context(Context::open(Device::cuda(0), tuning_with(policy))), channels(channels_each) {
    const std::vector<std::int32_t> coords = random_coords(box, rows, 7);
    const Buffer device_coords = upload(coords, 0);
    map = context.submanifold_map({device_coords.data(), DType::i32, {rows, 4}}, box.grid);
    conv = context.conv3d({.in_channels = channels, .out_channels = channels});
    std::mt19937 random(8);
    const auto fill = [&random](std::int64_t count) {
      std::vector<float> values(static_cast<std::size_t>(count));
      for (float& value : values) value = std::normal_distribution<float>()(random);
      return values;
    };
    const auto host_feats = fill(rows * channels);
    const auto host_weight = fill(channels * 27 * channels);
    const auto host_bias = fill(channels);
    feats = upload(host_feats, skipped);
    weight = upload(host_weight, 0);
    bias = upload(host_bias, 0);
    std::vector<std::int32_t> indices(static_cast<std::size_t>(rows * 27));
    context.copy_to_host(indices.data(), map.indices().data, indices.size() * sizeof(std::int32_t));
    const auto wide = [](const std::vector<float>& values) {
      return std::vector<double>(values.begin(), values.end());
    };
    expected = reference::forward({indices.data(), rows, 27}, wide(host_feats).data(),
                                  wide(host_weight).data(), wide(host_bias).data(), channels, channels);
  }

  /// `skipped` elements stay unused at the front: the tensor is then aligned to so many elements.
  template <class T>
  Buffer upload(const std::vector<T>& values, std::int64_t skipped) {
    Buffer buffer = context.allocate((values.size() + static_cast<std::size_t>(skipped)) * sizeof(T));
    context.copy_to_device(static_cast<T*>(buffer.data()) + skipped, values.data(),
                           values.size() * sizeof(T));
    return buffer;
  }

  double forward_error(std::int64_t skipped = 0) {
    const std::vector<float> poison(static_cast<std::size_t>(rows * channels), std::nanf(""));
    out = upload(poison, 0);
    conv.forward(map, {static_cast<const float*>(feats.data()) + skipped, DType::f32, {rows, channels}},
                 {weight.data(), DType::f32, {channels, 3, 3, 3, channels}},
                 {bias.data(), DType::f32, {channels}}, {out.data(), DType::f32, {rows, channels}});
    std::vector<float> result(poison.size());
    context.copy_to_host(result.data(), out.data(), result.size() * sizeof(float));
    return reference::relative_error({result.begin(), result.end()}, expected);
  }
};

void need_gpu() {
  if (cuda_device_count() == 0) SKIP("no GPU: " << detail::driver_problem());
}

}  // namespace

TEST_CASE("tuning a layer finds a winner among correct candidates, and the layer runs it") {
  need_gpu();
  Layer layer(TuningPolicy::never, 32);
  TuneRequest request;
  request.pass.bias = DType::f32;
  int told = 0;
  request.progress = [&told](const TuneProgress&) { ++told; };
  const TuneReport report = layer.conv.tune(layer.map, request);
  REQUIRE(report.winner == std::size_t{0});
  CHECK(report.end == TuneEnd::complete);
  CHECK(told > 1);
  CHECK(report.predicted_choice_ms >= report.candidates.front().measured_ms);
  for (const CandidateReport& candidate : report.candidates) {
    CAPTURE(candidate.choice.kernel, candidate.disqualified);
    CHECK(candidate.disqualified.empty());
    if (candidate.samples > 0) CHECK(candidate.error <= 1e-5);
    if (candidate.samples > 0) CHECK(candidate.measured_ms > 0);
  }
  CHECK(layer.forward_error() <= reference::tolerance(DType::f32));
}

TEST_CASE("gradients are tuned like forward: every candidate computes the same") {
  need_gpu();
  const Layer layer(TuningPolicy::never, 1);  // for its map
  const DType dtype = GENERATE(DType::f32, DType::f16, DType::bf16);
  const Op op = GENERATE(Op::grad_input, Op::grad_weight);
  const Conv3d conv = layer.context.conv3d({.in_channels = 24, .out_channels = 40, .dtype = dtype});
  TuneRequest request;
  request.pass.op = op;
  request.most_candidates = 40;
  const TuneReport report = conv.tune(layer.map, request);
  CHECK(report.winner == std::size_t{0});
  for (const CandidateReport& candidate : report.candidates) {
    CAPTURE(name(dtype), name(op), name(candidate.choice.algorithm), candidate.choice.kernel, candidate.error,
            candidate.disqualified);
    CHECK(candidate.disqualified.empty());
  }
  if (report.winner) CHECK(conv.choice(layer.map, op).kernel == report.candidates.front().choice.kernel);
}

TEST_CASE("on a miss the first pass tunes its shape, and tensors of any alignment run right after it") {
  need_gpu();
  const std::int64_t skipped = GENERATE(0, 1, 2);
  Layer layer(TuningPolicy::on_miss, 24, skipped);
  CHECK(layer.forward_error(skipped) <= reference::tolerance(DType::f32));
  CHECK(layer.forward_error(skipped) <= reference::tolerance(DType::f32));
}

TEST_CASE("a cancelled tuning stops, and the layer still runs") {
  need_gpu();
  Layer layer(TuningPolicy::never, 16);
  TuneRequest request;
  request.cancelled = [] { return true; };
  const TuneReport report = layer.conv.tune(layer.map, request);
  CHECK(report.end == TuneEnd::cancelled);
  CHECK(!report.winner);
  CHECK(layer.forward_error() <= reference::tolerance(DType::f32));
}

TEST_CASE("a kernel that computes something else is found out on sampled rows") {
  const auto backend = open_gpu();
  const auto coords = random_coords(box, rows, 9);
  const OnDevice<std::int32_t> device_coords(backend, coords);
  const auto map = build_map(*backend, device_coords.data(), rows, box.grid, {});
  const Conv3dOptions conv{.in_channels = 32, .out_channels = 48, .dtype = DType::f16};
  detail::GemmPass pass = detail::pass_without_tensors(conv, *map, Op::forward);
  alignas(16) const char some_bias = 0;
  pass.bias = &some_bias;
  pass.bias_dtype = DType::f16;
  const detail::ContextScope scope(backend->cuda_device());
  const auto target = detail::target_of(backend->cuda_device());
  const detail::GemmChoice right = detail::choose_gemm(target, detail::shape_of(pass));
  detail::GemmChoice without_bias = right;
  without_bias.spec.bias = codegen::BiasType::none;
  detail::GemmChoice fewer_channels = right;
  fewer_channels.spec.in_channels = 16;
  detail::GemmChoice unwritten = right;
  unwritten.spec.out_channels = 32;
  detail::TuningDevice device(backend->kernels(), pass, {right, without_bias, fewer_channels, unwritten}, {});
  CHECK(device.check(0) <= device.tolerance());
  CHECK(!(device.check(1) <= device.tolerance()));
  CHECK(!(device.check(2) <= device.tolerance()));
  CHECK(std::isnan(device.check(3)));
  CHECK(!device.lost());
  const std::vector<double> times = device.time(0, 5);
  REQUIRE(times.size() == 5);
  for (const double ms : times) CHECK(ms > 0);
}
