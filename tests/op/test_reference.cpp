#include <cmath>
#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "op/random.hpp"
#include "op/submap.hpp"
#include "op/voxel_cloud.hpp"
#include "reference/reference.hpp"

using namespace flexgemm;
using namespace flexgemm::op_test;

namespace {

constexpr std::int64_t in_channels = 3;
constexpr std::int64_t out_channels = 4;

std::vector<double> random_vector(std::int64_t size, std::uint64_t seed) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < size; ++i)
    values.push_back(random_normal(seed, static_cast<std::uint64_t>(i)));
  return values;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// A small convolution with the scalar loss <grad_out, out>.
struct Layer {
  explicit Layer(const SubmanifoldOptions& options, std::int64_t rows = 40)
      : volume(options.kernel.x * options.kernel.y * options.kernel.z) {
    const VoxelCloud cloud = voxel_cloud(rows, 2, false, 5);
    indices = reference::neighbor_map(cloud.coords.data(), rows, cloud.grid, options);
    map = {indices.data(), rows, volume};
    feats = random_vector(rows * in_channels, 1);
    weight = random_vector(out_channels * volume * in_channels, 2);
    bias = random_vector(out_channels, 3);
    grad_out = random_vector(rows * out_channels, 4);
  }
  double loss() const {
    return dot(grad_out,
               reference::forward(map, feats.data(), weight.data(), bias.data(), in_channels, out_channels));
  }
  /// Central difference of the loss; exact up to rounding, because the loss is linear in each parameter.
  double slope(double& parameter) const {
    const double kept = parameter;
    parameter = kept + 0.5;
    const double above = loss();
    parameter = kept - 0.5;
    const double below = loss();
    parameter = kept;
    return above - below;
  }

  int volume;
  std::vector<std::int32_t> indices;
  reference::MapView map{};
  std::vector<double> feats, weight, bias, grad_out;
};

void check_slopes(const Layer& layer, std::vector<double>& parameters, const std::vector<double>& gradient) {
  REQUIRE(parameters.size() == gradient.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(layer.slope(parameters[i]) - gradient[i]) <= 1e-9 * (1 + std::abs(gradient[i])));
  }
}

}  // namespace

TEST_CASE("the reference's gradients are the slopes of its forward") {
  for (const SubmanifoldOptions& options : {SubmanifoldOptions{}, SubmanifoldOptions{.kernel = {2, 3, 4}},
                                            SubmanifoldOptions{.kernel = {3, 1, 5}, .dilation = {2, 1, 1}}}) {
    CAPTURE(options.kernel.x, options.kernel.y, options.kernel.z);
    Layer layer(options);
    const double* grad_out = layer.grad_out.data();
    check_slopes(layer, layer.feats,
                 reference::grad_input(layer.map, grad_out, layer.weight.data(), in_channels, out_channels));
    check_slopes(layer, layer.weight,
                 reference::grad_weight(layer.map, grad_out, layer.feats.data(), in_channels, out_channels));
    check_slopes(layer, layer.bias, reference::grad_bias(grad_out, layer.map.rows, out_channels));
  }
}

TEST_CASE("the reference's map equals a search through all pairs of rows") {
  for (const SubmanifoldOptions& options :
       {SubmanifoldOptions{}, SubmanifoldOptions{.kernel = {2, 3, 4}, .dilation = {1, 2, 1}},
        SubmanifoldOptions{.kernel = {5, 5, 5}}}) {
    for (const bool huge_grid : {false, true}) {
      const std::int64_t rows = 150;
      const VoxelCloud cloud = voxel_cloud(rows, 3, huge_grid, 9);
      const auto map = reference::neighbor_map(cloud.coords.data(), rows, cloud.grid, options);
      const Extent3 k = options.kernel;
      const Extent3 d = options.dilation;
      bool equal = true;
      for (std::int64_t n = 0; n < rows; ++n) {
        for (std::int64_t v = 0; v < k.x * k.y * k.z; ++v) {
          const std::int64_t x =
              cloud.coords[static_cast<std::size_t>(n * 4 + 1)] + (v / (k.y * k.z) - k.x / 2) * d.x;
          const std::int64_t y =
              cloud.coords[static_cast<std::size_t>(n * 4 + 2)] + (v / k.z % k.y - k.y / 2) * d.y;
          const std::int64_t z =
              cloud.coords[static_cast<std::size_t>(n * 4 + 3)] + (v % k.z - k.z / 2) * d.z;
          std::int32_t found = -1;
          for (std::int64_t m = 0; m < rows; ++m) {
            const std::int32_t* c = cloud.coords.data() + m * 4;
            if (c[0] == cloud.coords[static_cast<std::size_t>(n * 4)] && c[1] == x && c[2] == y && c[3] == z)
              found = static_cast<std::int32_t>(m);
          }
          equal &= map[static_cast<std::size_t>(n * k.x * k.y * k.z + v)] == found;
        }
      }
      CAPTURE(k.x, k.y, k.z, huge_grid);
      CHECK(equal);
    }
  }
}

TEST_CASE("the reference's map takes the lowest of equal rows and no row outside the grid") {
  const std::vector<std::int32_t> coords{0, 1, 1,      1, /**/ 0, 1, 1,      2, /**/ 0, 1,
                                         1, 2, /**/ 0, 1, 1,      4, /**/ 1, 1, 1,      3};
  const auto map =
      reference::neighbor_map(coords.data(), 5, {1, 4, 4, 4}, {.kernel = {1, 1, 3}, .checked = false});
  CHECK(map ==
        std::vector<std::int32_t>{-1, 0, 1, /**/ 0, 1, -1, /**/ 0, 1, -1, /**/ -1, -1, -1, /**/ -1, -1, -1});
}

TEST_CASE("sampled rows of a result equal those of the whole result") {
  Layer layer({.kernel = {3, 2, 3}}, 300);
  const std::vector<std::int64_t> rows = sample_of(300, 20, 3);
  REQUIRE(rows.size() == 20);
  const auto gather = [](const std::vector<double>& from, const std::vector<std::int64_t>& chosen,
                         std::int64_t columns, std::int64_t padded) {
    std::vector<double> result;
    for (const std::int64_t row : chosen)
      for (std::int64_t c = 0; c < columns; ++c)
        result.push_back(from[static_cast<std::size_t>(row * columns + c)]);
    result.resize(static_cast<std::size_t>(padded * columns));
    return result;
  };
  const auto all = reference::forward(layer.map, layer.feats.data(), layer.weight.data(), nullptr,
                                      in_channels, out_channels);
  const auto expected = gather(all, rows, out_channels, 20);
  CHECK(reference::forward(layer.map, layer.feats.data(), layer.weight.data(), nullptr, in_channels,
                           out_channels, rows) == expected);

  const Submap outputs = submap_of_outputs(layer.map, rows);
  const auto feats = gather(layer.feats, outputs.inputs, in_channels, outputs.rows);
  auto part = reference::forward(outputs.view(), feats.data(), layer.weight.data(), nullptr, in_channels,
                                 out_channels);
  part.resize(expected.size());
  CHECK(part == expected);

  const Submap inputs = submap_of_inputs(layer.map, rows);
  const auto grad_out = gather(layer.grad_out, inputs.outputs, out_channels, inputs.rows);
  auto gradient =
      reference::grad_input(inputs.view(), grad_out.data(), layer.weight.data(), in_channels, out_channels);
  gradient.resize(20 * in_channels);
  CHECK(gradient == gather(reference::grad_input(layer.map, layer.grad_out.data(), layer.weight.data(),
                                                 in_channels, out_channels),
                           rows, in_channels, 20));
}

TEST_CASE("a relative error is infinite for values that are not finite and for other sizes") {
  CHECK(reference::relative_error({3, 4}, {3, 4}) == 0);
  CHECK(reference::relative_error({3, 5}, {3, 4}) == 0.2);
  CHECK(reference::relative_error({0, 2}, {0, 0}) == 2);
  CHECK(std::isinf(reference::relative_error({NAN, 4}, {3, 4})));
  CHECK(std::isinf(reference::relative_error({3}, {3, 4})));
}
