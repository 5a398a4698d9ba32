#include <algorithm>
#include <cmath>
#include <cstdint>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <flexgemm/flexgemm.hpp>

#include "support.hpp"

using namespace flexgemm;

namespace {

constexpr int side = 159;  // a full cube: every inner row has 27 neighbors
constexpr std::int64_t rows = std::int64_t{side} * side * side;
constexpr std::int64_t channels = 192;

/// Values that any element has by its place, so that the host need not keep them: -8 ... 7, eighths.
float value_at(std::uint64_t index, std::uint64_t seed) {
  std::uint64_t bits = (index + seed) * 0x9e3779b97f4a7c15U;
  bits ^= bits >> 29;
  return static_cast<float>(static_cast<int>(bits * 0xbf58476d1ce4e5b9U >> 60) - 8) / 8.0F;
}

Buffer upload(const Context& context, std::int64_t count, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(count));
  std::vector<std::thread> threads;
  const std::int64_t parts = std::max(1U, std::thread::hardware_concurrency());
  for (std::int64_t part = 0; part < parts; ++part) {
    threads.emplace_back([&, part] {
      for (std::int64_t i = count * part / parts; i < count * (part + 1) / parts; ++i)
        values[static_cast<std::size_t>(i)] = value_at(static_cast<std::uint64_t>(i), seed);
    });
  }
  for (std::thread& thread : threads) thread.join();
  Buffer buffer = context.allocate(values.size() * sizeof(float));
  context.copy_to_device(buffer.data(), values.data(), buffer.bytes());
  return buffer;
}

/// Row of the neighbor of a row at offset v of a 3x3x3 kernel, or -1.
std::int64_t neighbor(std::int64_t row, int v) {
  const std::int64_t x = row / side / side + v / 9 - 1;
  const std::int64_t y = row / side % side + v / 3 % 3 - 1;
  const std::int64_t z = row % side + v % 3 - 1;
  const auto inside = [](std::int64_t cell) { return cell >= 0 && cell < side; };
  return inside(x) && inside(y) && inside(z) ? (x * side + y) * side + z : -1;
}

constexpr std::uint64_t feats_seed = 0;
constexpr std::uint64_t grad_out_seed = std::uint64_t{1} << 40;
constexpr std::uint64_t weight_seed = std::uint64_t{2} << 40;

double grad_input_at(std::int64_t row, std::int64_t ci) {
  double sum = 0;
  for (int v = 0; v < 27; ++v) {
    const std::int64_t n = neighbor(row, 26 - v);
    if (n < 0) continue;
    for (std::int64_t co = 0; co < channels; ++co) {
      sum += static_cast<double>(value_at(static_cast<std::uint64_t>(n * channels + co), grad_out_seed)) *
             static_cast<double>(
                 value_at(static_cast<std::uint64_t>((co * 27 + v) * channels + ci), weight_seed));
    }
  }
  return sum;
}

double grad_weight_at(std::int64_t co, int v, std::int64_t ci) {
  double sum = 0;
  for (std::int64_t n = 0; n < rows; ++n) {
    const std::int64_t m = neighbor(n, v);
    if (m < 0) continue;
    sum += static_cast<double>(value_at(static_cast<std::uint64_t>(n * channels + co), grad_out_seed)) *
           static_cast<double>(value_at(static_cast<std::uint64_t>(m * channels + ci), feats_seed));
  }
  return sum;
}

float read(const Context& context, const Buffer& buffer, std::int64_t element) {
  float value = 0;
  context.copy_to_host(&value, static_cast<const float*>(buffer.data()) + element, sizeof(value));
  return value;
}

}  // namespace

TEST_CASE("gradients of 4 million rows with 192 channels, whose addresses pass 2^31 bytes") {
  if (cuda_device_count() == 0) SKIP("no GPU");
  const Context context = Context::open(Device::cuda(0));
  std::vector<std::int32_t> cells;
  cells.reserve(static_cast<std::size_t>(rows * 4));
  for (int x = 0; x < side; ++x) {
    for (int y = 0; y < side; ++y) {
      for (int z = 0; z < side; ++z) cells.insert(cells.end(), {0, x, y, z});
    }
  }
  const Buffer coords = context.allocate(cells.size() * sizeof(std::int32_t));
  context.copy_to_device(coords.data(), cells.data(), coords.bytes());
  const NeighborMap map =
      context.submanifold_map({coords.data(), DType::i32, {rows, 4}}, {1, side, side, side});
  const Conv3d conv =
      context.conv3d({.in_channels = channels, .out_channels = channels, .dtype = DType::tf32});
  const Buffer feats = upload(context, rows * channels, feats_seed);
  const Buffer grad_out = upload(context, rows * channels, grad_out_seed);
  const Buffer weight = upload(context, channels * 27 * channels, weight_seed);
  const Buffer grad_input = context.allocate(feats.bytes());
  const Buffer grad_weight = context.allocate(weight.bytes());
  const Shape row_shape{rows, channels};
  const Shape weight_shape{channels, 3, 3, 3, channels};
  conv.backward(map, {grad_out.data(), DType::f32, row_shape}, {feats.data(), DType::f32, row_shape},
                {weight.data(), DType::f32, weight_shape},
                {.input = {grad_input.data(), DType::f32, row_shape},
                 .weight = {grad_weight.data(), DType::f32, weight_shape},
                 .bias = {}});
  // The values have four significant bits, which tf32 holds exactly: only the order of the sums is left.
  for (const std::int64_t row : {std::int64_t{0}, rows / 2, rows * 3 / 4, rows - 2, rows - 1}) {
    for (const std::int64_t ci : {std::int64_t{0}, std::int64_t{101}, channels - 1}) {
      CAPTURE(row, ci);
      CHECK(std::abs(static_cast<double>(read(context, grad_input, row * channels + ci)) -
                     grad_input_at(row, ci)) < 1e-2);
    }
  }
  for (const int v : {0, 13, 26}) {
    CAPTURE(v);
    const double expected = grad_weight_at(channels - 1, v, 77);
    const double scale = std::sqrt(static_cast<double>(rows)) * 0.33;  // of a sum of as many random products
    CHECK(
        std::abs(static_cast<double>(read(context, grad_weight, ((channels - 1) * 27 + v) * channels + 77)) -
                 expected) < 1e-3 * scale + 1e-3 * std::abs(expected));
  }
}
