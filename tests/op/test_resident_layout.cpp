#include <algorithm>
#include <bit>
#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "reference/resident_layout.hpp"

using namespace flexgemm;
using namespace flexgemm::reference;

namespace {

struct Scene {
  Grid grid;
  Extent3 kernel;
  std::vector<std::int32_t> coords;  // [rows, 4]
  std::vector<std::int32_t> indices;
  std::int64_t rows() const { return static_cast<std::int64_t>(coords.size() / 4); }
  MapView map() const { return {indices.data(), rows(), kernel.x * kernel.y * kernel.z}; }
};

/// Random sites of two batches of a box, in random order.
Scene box_scene(std::int64_t rows, std::int32_t extent, const Extent3& kernel) {
  Scene scene{.grid = {2, extent, extent, extent}, .kernel = kernel, .coords = {}, .indices = {}};
  std::mt19937 random(7);
  std::set<std::vector<std::int32_t>> sites;
  const auto below = [&](std::int32_t end) { return static_cast<std::int32_t>(random() % unsigned(end)); };
  while (static_cast<std::int64_t>(sites.size()) < rows) {
    sites.insert({below(2), below(extent), below(extent), below(extent)});
  }
  std::vector<std::vector<std::int32_t>> shuffled(sites.begin(), sites.end());
  std::shuffle(shuffled.begin(), shuffled.end(), random);
  for (const auto& site : shuffled) scene.coords.insert(scene.coords.end(), site.begin(), site.end());
  scene.indices = neighbor_map(scene.coords.data(), rows, scene.grid, {.kernel = kernel});
  return scene;
}

/// A map whose neighbors lie anywhere: what no order of rows brings together.
void scatter(Scene& scene) {
  std::mt19937 random(11);
  for (std::int32_t& index : scene.indices) {
    index = random() % 3 == 0 ? -1 : static_cast<std::int32_t>(random() % unsigned(scene.rows()));
  }
}

std::string defect_in(const Scene& scene, const ResidentLayout& layout) {
  return defect(layout, scene.coords.data(), scene.grid, scene.map());
}

ResidentLayout layout_of(const Scene& scene, int block_rows, int capacity) {
  return resident_layout(scene.coords.data(), scene.grid, scene.map(), scene.kernel, block_rows, capacity);
}

}  // namespace

TEST_CASE("resident layouts hold their map") {
  const Extent3 kernel = GENERATE(Extent3{1, 1, 1}, Extent3{2, 2, 2}, Extent3{3, 3, 3}, Extent3{2, 4, 4});
  const std::int64_t rows = GENERATE(1, 63, 64, 65, 700);
  const int block_rows = GENERATE(64, 128, 512);
  const Scene scene = box_scene(rows, 8, kernel);
  const ResidentLayout layout = layout_of(scene, block_rows, 8190);
  CHECK(defect_in(scene, layout).empty());
  CHECK(layout.phase_begin.back() == layout.blocks);  // one phase each
}

TEST_CASE("a block whose inputs exceed the capacity has phases") {
  const bool scattered = GENERATE(false, true);
  const int block_rows = GENERATE(64, 256);
  const int capacity = block_rows + GENERATE(0, 1, 50);
  Scene scene = box_scene(900, 9, {3, 3, 3});
  if (scattered) scatter(scene);
  const ResidentLayout layout = layout_of(scene, block_rows, capacity);
  CHECK(defect_in(scene, layout).empty());
  CHECK(layout.phase_begin.back() > layout.blocks);
  // Greedy: the first offset of a phase did not fit into the one before.
  for (std::size_t p = 1; p < layout.phase_offsets.size(); ++p) {
    if (std::count(layout.phase_begin.begin(), layout.phase_begin.end(), static_cast<int>(p)) != 0) continue;
    const int first = std::countr_zero(layout.phase_offsets[p]);
    std::set<std::uint32_t> inputs(layout.inputs.begin() + layout.input_begin[p - 1],
                                   layout.inputs.begin() + layout.input_begin[p]);
    const auto after =
        std::upper_bound(layout.phase_begin.begin(), layout.phase_begin.end(), static_cast<int>(p));
    const std::int64_t block = after - layout.phase_begin.begin() - 1;
    for (int slot = 0; slot < block_rows; ++slot) {
      const auto at = static_cast<std::size_t>((block * 27 + first) * block_rows + slot);
      const int position = layout.locals[at] & 0x1fff;
      if (position != 0)
        inputs.insert(layout.inputs[static_cast<std::size_t>(layout.input_begin[p] + position - 1)]);
    }
    CHECK(inputs.size() > static_cast<std::size_t>(capacity));
  }
}

TEST_CASE("a full box costs few inputs, and its slots have distinct colors") {
  Scene scene{.grid = {1, 16, 16, 16}, .kernel = {3, 3, 3}, .coords = {}, .indices = {}};
  for (std::int32_t x = 0; x < 16; ++x) {
    for (std::int32_t y = 0; y < 16; ++y) {
      for (std::int32_t z = 0; z < 16; ++z) scene.coords.insert(scene.coords.end(), {0, x, y, z});
    }
  }
  scene.indices = neighbor_map(scene.coords.data(), scene.rows(), scene.grid, {});
  const ResidentLayout layout = layout_of(scene, 64, 8190);
  CHECK(defect_in(scene, layout).empty());
  // A block is a cube of 4^3; with all around it, at most 6^3.
  CHECK(*std::max_element(layout.input_begin.begin(), layout.input_begin.end()) <= layout.blocks * 216);
  std::int64_t repeated = 0;
  for (std::size_t group = 0; group < layout.order.size(); group += 8) {
    std::set<std::uint32_t> colors;
    for (std::size_t slot = group; slot < group + 8; ++slot) {
      colors.insert(resident_color(scene.coords.data(), scene.grid, layout.order[slot]));
    }
    repeated += 8 - static_cast<std::int64_t>(colors.size());
  }
  CHECK(repeated * 8 < scene.rows());
}

TEST_CASE("rows outside the grid have a place, and a block of them one empty phase") {
  Scene scene = box_scene(200, 8, {3, 3, 3});
  for (std::size_t i = 0; i < scene.coords.size(); ++i) scene.coords[i] = i % 3 == 0 ? -5 : 2'000'000'000;
  std::fill(scene.indices.begin(), scene.indices.end(), -1);
  const ResidentLayout layout = layout_of(scene, 64, 64);
  CHECK(defect_in(scene, layout).empty());
  CHECK(layout.phase_offsets == std::vector<std::uint32_t>(4, 0));
  CHECK(layout.inputs.empty());
}

TEST_CASE("a broken resident layout has a defect") {
  Scene scene = box_scene(300, 8, {3, 3, 3});
  scatter(scene);
  const ResidentLayout layout = layout_of(scene, 64, 100);
  REQUIRE(defect_in(scene, layout).empty());
  const auto broken = [&](auto change) {
    ResidentLayout copy = layout;
    change(copy);
    return defect_in(scene, copy);
  };
  CHECK(!broken([](auto& l) { std::swap(l.order[3], l.order[200]); }).empty());
  CHECK(!broken([](auto& l) { l.order[3] = l.order[4]; }).empty());
  CHECK(!broken([](auto& l) { l.masks[1] ^= 2; }).empty());
  CHECK(!broken([](auto& l) { l.locals[70] ^= 1; }).empty());
  CHECK(!broken([](auto& l) { l.locals[70] ^= 1 << 13; }).empty());
  CHECK(!broken([](auto& l) { l.locals[70] ^= 1 << 12; }).empty());
  CHECK(!broken([](auto& l) { l.inputs[5] ^= 1u << 29; }).empty());
  CHECK(!broken([](auto& l) { std::swap(l.inputs[5], l.inputs[6]); }).empty());
  CHECK(!broken([](auto& l) { l.phase_offsets[1] |= l.phase_offsets[0]; }).empty());
  CHECK(!broken([](auto& l) { l.phase_offsets[1] = 0; }).empty());
  CHECK(!broken([](auto& l) { ++l.phase_begin[1]; }).empty());
  CHECK(!broken([](auto& l) { ++l.input_begin[1]; }).empty());
  CHECK(!broken([](auto& l) { l.capacity = 90; }).empty());
  CHECK(!broken([](auto& l) { l.inputs.push_back(0); }).empty());
}
