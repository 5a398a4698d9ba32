#include <limits>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <flexgemm/flexgemm.hpp>

#include "reference/reference.hpp"
#include "run/layer_data.hpp"
#include "run/pipeline.hpp"
#include "run/verify.hpp"
#include "scene/voxel_scene.hpp"

using namespace flexgemm;
using namespace flexgemm::run;

namespace {

/// A layer on a small sphere whose output is right to float's rounding.
struct RightLayer {
  explicit RightLayer(const SubmanifoldOptions& map_options = {}) {
    scene = scene::sphere_scene(16);
    options = {.in_channels = 3, .out_channels = 5, .kernel = map_options.kernel};
    map = reference::neighbor_map(scene.coords.data(), scene.voxels(), scene.grid, map_options);
    parameters = random_parameters(options, 13, 1, 0);
    const auto volume = static_cast<int>(map.size() / static_cast<std::size_t>(scene.voxels()));
    std::vector<double> weight;
    for (std::int64_t index = 0; index < 5 * volume * 3; ++index) {
      weight.push_back(static_cast<double>(decode(parameters.weight.data(), DType::f32, index)));
    }
    const std::vector<double> feats(scene.feats.begin(), scene.feats.end());
    const std::vector<double> bias(parameters.bias.begin(), parameters.bias.end());
    const std::vector<double> exact = reference::forward({map.data(), scene.voxels(), volume}, feats.data(),
                                                         weight.data(), bias.data(), 3, 5);
    for (const double value : exact) out.push_back(static_cast<float>(value));
  }

  double error(const VerificationSample& sample) const {
    return layer_error(sample, {.options = &options,
                                .feats = scene.feats.data(),
                                .weight = parameters.weight.data(),
                                .bias = parameters.bias.data(),
                                .out = out.data()});
  }

  scene::VoxelScene scene;
  Conv3dOptions options;
  std::vector<std::int32_t> map;
  LayerParameters parameters;
  std::vector<float> out;
};

constexpr SubmanifoldOptions shapes[] = {
    {}, {.kernel = {2, 2, 2}}, {.kernel = {3, 1, 5}, .dilation = {1, 1, 2}}, {.kernel = {7, 7, 7}}};

}  // namespace

TEST_CASE("a right layer passes, on all rows and on a sample") {
  for (const SubmanifoldOptions& shape : shapes) {
    const RightLayer layer(shape);
    const std::int64_t voxels = layer.scene.voxels();
    for (const std::int64_t count : {voxels, std::int64_t{100}, std::int64_t{1}}) {
      const VerificationSample sample = draw_sample(layer.scene, shape, count, 5);
      CHECK(std::ssize(sample.selected) == count);
      CHECK(map_mismatches(sample, layer.map.data()) == 0);
      CHECK(layer.error(sample) < 1e-6);
    }
  }
}

TEST_CASE("one wrong value in a checked row fails the verification") {
  RightLayer layer;
  const VerificationSample sample = draw_sample(layer.scene, {}, 100, 5);
  const std::int64_t row = sample.rows[static_cast<std::size_t>(sample.selected[42])];
  float& value = layer.out[static_cast<std::size_t>(row * 5 + 3)];
  value += 0.01F;
  const double error = layer.error(sample);
  CHECK(error > reference::tolerance(DType::f32));
  CHECK(!Verification{.layer_errors = {0, error}, .rows = 100, .tolerance = 1e-6}.passed());
  value = std::numeric_limits<float>::quiet_NaN();
  CHECK(layer.error(sample) == std::numeric_limits<double>::infinity());
  CHECK(!Verification{.layer_errors = {layer.error(sample)}, .rows = 100, .tolerance = 1e-6}.passed());
}

TEST_CASE("one wrong entry of the map fails the verification") {
  RightLayer layer;
  for (const std::int64_t count : {layer.scene.voxels(), std::int64_t{64}}) {
    const VerificationSample sample = draw_sample(layer.scene, {}, count, 9);
    const std::int64_t row = sample.rows[static_cast<std::size_t>(sample.selected[7])];
    std::int32_t& entry = layer.map[static_cast<std::size_t>(row * 27 + 13)];
    const std::int32_t right = entry;
    for (const std::int32_t wrong : {-1, right + 1}) {
      entry = wrong;
      CHECK(map_mismatches(sample, layer.map.data()) == 1);
    }
    entry = right;
  }
  CHECK(!Verification{.layer_errors = {0}, .rows = 64, .map_mismatches = 1, .tolerance = 1e-6}.passed());
  CHECK(Verification{.layer_errors = {0}, .rows = 64, .map_mismatches = 0, .tolerance = 1e-6}.passed());
}

TEST_CASE("the sample is the same for the same seed and spread over the whole scene") {
  const scene::VoxelScene scene = scene::sphere_scene(32);
  const VerificationSample first = draw_sample(scene, {}, 512, 1);
  const VerificationSample again = draw_sample(scene, {}, 512, 1);
  const VerificationSample other = draw_sample(scene, {}, 512, 2);
  CHECK(first.rows == again.rows);
  CHECK(first.selected == again.selected);
  CHECK(first.rows != other.rows);
  CHECK(first.rows[static_cast<std::size_t>(first.selected.front())] < scene.voxels() / 512 + 1);
  CHECK(first.rows[static_cast<std::size_t>(first.selected.back())] >=
        scene.voxels() - scene.voxels() / 512 - 1);
}

TEST_CASE("all rows are checked where that is affordable, never fewer than 512 of a large scene") {
  CHECK(verification_rows(0, 0, 27, {3, 32}) == 0);
  CHECK(verification_rows(125562, 788888, 27, {3, 32, 32}) == 125562);
  CHECK(verification_rows(100, 100, 343, {1024, 1 << 20}) == 100);
  CHECK(verification_rows(4'000'000, 50'000'000, 27, {1024, 1024, 1024}) == 762);
  CHECK(verification_rows(4'000'000, 50'000'000, 27, {4096, 4096, 4096}) == 512);
}
