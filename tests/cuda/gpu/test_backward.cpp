#include <cmath>
#include <cstdint>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <flexgemm/flexgemm.hpp>

#include "reference/reference.hpp"
#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::cuda_test;

namespace {

constexpr Grid grid{.batch = 2, .x = 24, .y = 24, .z = 24};

std::vector<float> random_floats(std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = std::normal_distribution<float>()(random);
  return values;
}

std::vector<double> wide(const std::vector<float>& values) { return {values.begin(), values.end()}; }

/// A float layer with all that backward takes and gives, in device memory.
struct Layer {
  std::shared_ptr<detail::CudaBackend> backend;
  std::int64_t rows;
  Conv3dOptions conv;
  int volume;
  std::vector<float> feats, weight, grad_out;
  OnDevice<std::int32_t> coords;
  OnDevice<float> device_feats, device_weight, device_grad_out;
  OnDevice<float> grad_input, grad_weight, grad_bias;
  std::shared_ptr<const detail::CudaMap> map;

  Layer(const std::vector<std::int32_t>& cells, const Conv3dOptions& options, bool checked)
      : backend(open_gpu()),
        rows(static_cast<std::int64_t>(cells.size()) / 4),
        conv(options),
        volume(options.kernel.x * options.kernel.y * options.kernel.z),
        feats(random_floats(rows * options.in_channels, 1)),
        weight(random_floats(options.out_channels * volume * options.in_channels, 2)),
        grad_out(random_floats(rows * options.out_channels, 3)),
        coords(backend, cells),
        device_feats(backend, feats),
        device_weight(backend, weight),
        device_grad_out(backend, grad_out),
        grad_input(backend, std::vector<float>(feats.size(), std::nanf(""))),
        grad_weight(backend, std::vector<float>(weight.size(), std::nanf(""))),
        grad_bias(backend, std::vector<float>(static_cast<std::size_t>(options.out_channels), std::nanf(""))),
        map(build_map(*backend, coords.data(), rows, grid, {.kernel = options.kernel, .checked = checked})) {}

  detail::BackwardArguments arguments() const {
    return {.conv = &conv,
            .map = map.get(),
            .grad_out = device_grad_out.data(),
            .feats = device_feats.data(),
            .weight = device_weight.data(),
            .grad_input = grad_input.data(),
            .grad_weight = grad_weight.data(),
            .grad_weight_dtype = DType::f32,
            .grad_bias = grad_bias.data(),
            .grad_bias_dtype = DType::f32,
            .accumulate = false};
  }
  double error(const OnDevice<float>& gradient, const std::vector<double>& expected) const {
    const auto values = to_host(*backend, gradient.data(), static_cast<std::int64_t>(expected.size()));
    return reference::relative_error(wide(values), expected);
  }
  std::vector<std::int32_t> indices() const { return to_host(*backend, map->indices(), rows * volume); }
  double grad_input_error() const {
    const auto host = indices();
    return error(grad_input, reference::grad_input({host.data(), rows, volume}, wide(grad_out).data(),
                                                   wide(weight).data(), conv.in_channels, conv.out_channels));
  }
  double grad_weight_error() const {
    const auto host = indices();
    return error(grad_weight,
                 reference::grad_weight({host.data(), rows, volume}, wide(grad_out).data(),
                                        wide(feats).data(), conv.in_channels, conv.out_channels));
  }
};

constexpr Box box{.grid = grid, .extent = 24};

}  // namespace

TEST_CASE("gradients of odd and even kernels, over checked and unchecked maps, are the reference's") {
  const Extent3 kernel = GENERATE(Extent3{3, 3, 3}, Extent3{2, 3, 4}, Extent3{2, 2, 2}, Extent3{1, 1, 1});
  const bool checked = GENERATE(true, false);
  Layer layer(random_coords(box, 3000, 11), {.in_channels = 20, .out_channels = 12, .kernel = kernel},
              checked);
  layer.backend->backward(layer.arguments(), {});
  CHECK(layer.grad_input_error() <= reference::tolerance(DType::f32));
  CHECK(layer.grad_weight_error() <= reference::tolerance(DType::f32));
  CHECK(layer.error(layer.grad_bias, reference::grad_bias(wide(layer.grad_out).data(), layer.rows, 12)) <=
        reference::tolerance(DType::f32));
}

TEST_CASE("an unchecked map that repeats coordinates has a weight gradient, and refuses the input gradient") {
  std::vector<std::int32_t> cells = random_coords(box, 500, 12);
  for (int row = 0; row < 40; ++row)
    cells.insert(cells.end(), cells.begin() + row * 4, cells.begin() + row * 4 + 4);
  cells.insert(cells.end(), {0, 99, 0, 0});  // outside the grid
  const Extent3 kernel = GENERATE(Extent3{3, 3, 3}, Extent3{2, 2, 2});
  Layer layer(cells, {.in_channels = 8, .out_channels = 8, .kernel = kernel}, false);
  detail::BackwardArguments arguments = layer.arguments();
  try {
    layer.backend->backward(arguments, {});
    FAIL("an input gradient over repeated coordinates was computed");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::unsupported);
    CHECK(std::string(error.what()).find("40 of the 541 rows") != std::string::npos);
  }
  arguments.grad_input = nullptr;
  layer.backend->backward(arguments, {});
  CHECK(layer.grad_weight_error() <= reference::tolerance(DType::f32));
}

TEST_CASE("rows outside the grid of an unchecked map do not stop the input gradient") {
  std::vector<std::int32_t> cells = random_coords(box, 500, 13);
  cells.insert(cells.begin(), {0, -1, 0, 0});
  Layer layer(cells, {.in_channels = 8, .out_channels = 8}, false);
  layer.backend->backward(layer.arguments(), {});
  CHECK(layer.grad_input_error() <= reference::tolerance(DType::f32));
}

TEST_CASE("the explicit weight gradient runs over several chunks of rows") {
  Layer layer(random_coords(box, 20'000, 14),
              {.in_channels = 160, .out_channels = 8, .algorithm = Algorithm::explicit_gemm}, true);
  REQUIRE(layer.rows * 27 * 160 * 4 > detail::explicit_workspace_bytes);
  layer.backend->backward(layer.arguments(), {});
  CHECK(layer.grad_weight_error() <= reference::tolerance(DType::f32));
  CHECK(layer.grad_input_error() <= reference::tolerance(DType::f32));
}

TEST_CASE("a stream that another one follows sees finished gradients") {
  Layer layer(random_coords(box, 2000, 15), {.in_channels = 16, .out_channels = 16, .kernel = {2, 2, 2}},
              true);
  const OwnStream first(*layer.backend);
  const OwnStream second(*layer.backend);
  // The second stream meets layouts, pair lists and an inverse that the first one is still building.
  layer.backend->backward(layer.arguments(), first);
  layer.backend->backward(layer.arguments(), second);
  layer.backend->synchronize(first);
  layer.backend->synchronize(second);
  CHECK(layer.grad_input_error() <= reference::tolerance(DType::f32));
  CHECK(layer.grad_weight_error() <= reference::tolerance(DType::f32));
}
