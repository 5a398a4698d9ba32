#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <flexgemm/flexgemm.hpp>

#include "reference/reference.hpp"

using namespace flexgemm;

namespace {

constexpr std::array every_algorithm{Algorithm::automatic,
                                     Algorithm::explicit_gemm,
                                     Algorithm::implicit_gemm,
                                     Algorithm::implicit_gemm_splitk,
                                     Algorithm::masked_implicit_gemm,
                                     Algorithm::masked_implicit_gemm_splitk};

std::vector<float> random_floats(std::int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

std::vector<double> to_double(const std::vector<float>& values) { return {values.begin(), values.end()}; }

/// A layer with its data. Coordinates repeat, so maps are built unchecked.
struct Layer {
  std::int64_t rows;
  std::int64_t in_channels;
  std::int64_t out_channels;
  Extent3 kernel;
  std::vector<std::int32_t> coords;
  std::vector<float> feats = random_floats(rows * in_channels, 1);
  std::vector<float> grad_out = random_floats(rows * out_channels, 2);
  std::vector<float> weight = random_floats(out_channels * volume() * in_channels, 3);

  int volume() const { return kernel.x * kernel.y * kernel.z; }
  Shape weight_shape() const { return {out_channels, kernel.x, kernel.y, kernel.z, in_channels}; }
  NeighborMap map(const Context& context) const {
    return context.submanifold_map({coords.data(), {rows, 4}}, {1, 16, 16, 16},
                                   {.kernel = kernel, .checked = false});
  }
};

Layer make_layer(std::int64_t rows, std::int64_t in_channels, std::int64_t out_channels, Extent3 kernel,
                 int side) {
  std::mt19937 generator(7);
  std::uniform_int_distribution<std::int32_t> cell(-1, side);
  std::vector<std::int32_t> coords;
  for (std::int64_t i = 0; i < rows; ++i)
    coords.insert(coords.end(), {0, cell(generator), cell(generator), cell(generator)});
  return {.rows = rows,
          .in_channels = in_channels,
          .out_channels = out_channels,
          .kernel = kernel,
          .coords = std::move(coords)};
}

struct Results {
  std::vector<float> out;
  std::vector<float> grad_input;
  std::vector<float> grad_weight;
  std::vector<float> grad_bias;
  friend bool operator==(const Results&, const Results&) = default;
};

Results run(const Context& context, const NeighborMap& map, const Layer& layer, Algorithm algorithm) {
  const Conv3d conv = context.conv3d({.in_channels = layer.in_channels,
                                      .out_channels = layer.out_channels,
                                      .kernel = layer.kernel,
                                      .algorithm = algorithm});
  const float poison = std::nanf("");
  Results results{.out = std::vector<float>(layer.grad_out.size(), poison),
                  .grad_input = std::vector<float>(layer.feats.size(), poison),
                  .grad_weight = std::vector<float>(layer.weight.size(), poison),
                  .grad_bias = std::vector<float>(static_cast<std::size_t>(layer.out_channels), poison)};
  const ConstTensorView feats{layer.feats.data(), {layer.rows, layer.in_channels}};
  const ConstTensorView weight{layer.weight.data(), layer.weight_shape()};
  const ConstTensorView grad_out{layer.grad_out.data(), {layer.rows, layer.out_channels}};
  conv.forward(map, feats, weight, {}, {results.out.data(), {layer.rows, layer.out_channels}});
  conv.backward(map, grad_out, feats, weight,
                {.input = {results.grad_input.data(), {layer.rows, layer.in_channels}},
                 .weight = {results.grad_weight.data(), layer.weight_shape()},
                 .bias = {results.grad_bias.data(), {layer.out_channels}}});
  return results;
}

}  // namespace

TEST_CASE("results are the same bits for any number of threads") {
  const Layer layer = make_layer(3000, 20, 36, {3, 3, 3}, 12);
  const Context one = Context::open(Device::cpu(), {.threads = 1});
  const Context many = Context::open(Device::cpu(), {.threads = 5});
  for (const Algorithm algorithm : every_algorithm) {
    INFO(name(algorithm));
    REQUIRE(run(one, layer.map(one), layer, algorithm) == run(many, layer.map(many), layer, algorithm));
  }
}

TEST_CASE("grad_input is the adjoint of forward where coordinates repeat and where kernels are even") {
  const Context context = Context::open(Device::cpu(), {.threads = 2});
  for (const Extent3 kernel : {Extent3{3, 3, 3}, {2, 2, 2}, {1, 4, 3}}) {
    const Layer layer = make_layer(900, 5, 18, kernel, 6);  // about three rows a cell
    const NeighborMap map = layer.map(context);
    const reference::MapView view{static_cast<const std::int32_t*>(map.indices().data), layer.rows,
                                  layer.volume()};
    const std::vector<double> expected =
        reference::grad_input(view, to_double(layer.grad_out).data(), to_double(layer.weight).data(),
                              layer.in_channels, layer.out_channels);
    for (const Algorithm algorithm : every_algorithm) {
      INFO(name(algorithm));
      const Results results = run(context, map, layer, algorithm);
      REQUIRE(reference::relative_error(to_double(results.grad_input), expected) <
              reference::tolerance(DType::f32));
    }
  }
}

TEST_CASE("one map and one context serve several threads at the same time") {
  const Layer layer =
      make_layer(1500, 8, 16, {2, 3, 3}, 10);  // even: the inverse is built by whoever comes first
  const Context context = Context::open(Device::cpu(), {.threads = 3});
  const Results expected = run(context, layer.map(context), layer, Algorithm::automatic);
  const NeighborMap map = layer.map(context);
  std::vector<Results> results(4);
  std::vector<std::thread> threads;
  for (Results& own : results)
    threads.emplace_back([&] { own = run(context, map, layer, Algorithm::automatic); });
  for (std::thread& thread : threads) thread.join();
  for (const Results& own : results) REQUIRE(own == expected);
}

TEST_CASE("weight and bias gradients accumulate in float and are rounded once") {
  const Layer layer = make_layer(400, 3, 4, {3, 3, 3}, 8);
  const Context context = Context::open(Device::cpu());
  const NeighborMap map = layer.map(context);
  for (const Algorithm algorithm : every_algorithm) {
    INFO(name(algorithm));
    Results results = run(context, map, layer, algorithm);
    std::vector<float> doubled = results.grad_weight;
    std::vector<float> doubled_bias = results.grad_bias;
    const Conv3d conv =
        context.conv3d({.in_channels = 3, .out_channels = 4, .kernel = layer.kernel, .algorithm = algorithm});
    conv.backward(map, {layer.grad_out.data(), {layer.rows, 4}}, {layer.feats.data(), {layer.rows, 3}}, {},
                  {.input = {},
                   .weight = {doubled.data(), layer.weight_shape()},
                   .bias = {doubled_bias.data(), {4}},
                   .accumulate = true});
    std::vector<double> twice = to_double(results.grad_weight);
    for (double& value : twice) value *= 2;
    REQUIRE(reference::relative_error(to_double(doubled), twice) < 1e-6);
    for (std::size_t c = 0; c < 4; ++c) REQUIRE(std::abs(doubled_bias[c] - 2 * results.grad_bias[c]) < 1e-4F);
  }
}

TEST_CASE("with no rows gradients of weight and bias are zeros, or stay as they are when they accumulate") {
  const Layer layer = make_layer(0, 3, 4, {3, 3, 3}, 8);
  const Context context = Context::open(Device::cpu());
  const NeighborMap map = layer.map(context);
  for (const Algorithm algorithm : every_algorithm) {
    const Results results = run(context, map, layer, algorithm);
    REQUIRE(std::ranges::all_of(results.grad_weight, [](float value) { return value == 0; }));
    REQUIRE(std::ranges::all_of(results.grad_bias, [](float value) { return value == 0; }));
    std::vector<float> weight = layer.weight;
    std::vector<float> bias(4, 2.5F);
    context.conv3d({.in_channels = 3, .out_channels = 4, .kernel = layer.kernel, .algorithm = algorithm})
        .backward(map, {layer.grad_out.data(), {0, 4}}, {layer.feats.data(), {0, 3}}, {},
                  {.input = {},
                   .weight = {weight.data(), layer.weight_shape()},
                   .bias = {bias.data(), {4}},
                   .accumulate = true});
    REQUIRE(weight == layer.weight);
    REQUIRE(bias == std::vector<float>(4, 2.5F));
  }
}

TEST_CASE("the choice names the pinned algorithm, and a split reduction where tiles are few") {
  const Context context = Context::open(Device::cpu());
  const Layer few = make_layer(100, 8, 8, {3, 3, 3}, 8);
  const Layer many = make_layer(3000, 8, 8, {3, 3, 3}, 12);
  for (const Algorithm algorithm : every_algorithm) {
    for (const Op op : {Op::forward, Op::grad_input, Op::grad_weight}) {
      const KernelChoice choice =
          context.conv3d({.in_channels = 8, .out_channels = 8, .algorithm = algorithm})
              .choice(many.map(context), op);
      REQUIRE(choice.algorithm != Algorithm::automatic);
      if (algorithm != Algorithm::automatic) REQUIRE(choice.algorithm == algorithm);
      REQUIRE(choice.kernel.starts_with("cpu." + std::string(name(choice.algorithm)) + ".f32."));
    }
  }
  const Conv3d conv = context.conv3d({.in_channels = 8, .out_channels = 8});
  REQUIRE(conv.choice(few.map(context), Op::forward).algorithm == Algorithm::masked_implicit_gemm_splitk);
  REQUIRE(conv.choice(many.map(context), Op::forward).algorithm == Algorithm::masked_implicit_gemm);
}
