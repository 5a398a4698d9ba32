#include <algorithm>
#include <array>
#include <random>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <flexgemm/flexgemm.hpp>

#include "core/frames.hpp"
#include "cuda/resident_layout.hpp"
#include "reference/resident_layout.hpp"
#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::cuda_test;
using detail::ResidentKey;

namespace {

struct Scene {
  Grid grid;
  std::vector<std::int32_t> coords;  // [rows, 4]
  std::int64_t rows() const { return static_cast<std::int64_t>(coords.size() / 4); }
};

Scene box_scene(std::int64_t rows, std::int32_t extent, std::int32_t batch = 1) {
  const Grid grid{.batch = batch, .x = extent, .y = extent, .z = extent};
  return {grid, random_coords({.grid = grid, .extent = extent}, rows, 51)};
}

/// The cells that a wavy sheet crosses, in random order.
Scene surface_scene(std::int32_t extent) {
  Scene scene{{.batch = 1, .x = extent, .y = extent, .z = 40}, {}};
  std::vector<std::array<std::int32_t, 4>> cells;
  for (std::int32_t x = 0; x < extent; ++x) {
    for (std::int32_t y = 0; y < extent; ++y) cells.push_back({0, x, y, (x / 3 + y / 5) % 40});
  }
  std::shuffle(cells.begin(), cells.end(), std::mt19937(52));
  for (const auto& cell : cells) scene.coords.insert(scene.coords.end(), cell.begin(), cell.end());
  return scene;
}

template <class T>
std::vector<T> array_of(detail::CudaBackend& backend, const detail::DeviceArray<T>& array) {
  return to_host<T>(backend, array.data(), static_cast<std::int64_t>(array.bytes() / sizeof(T)));
}

/// Every array equals the host builder's, which keeps what the layout promises.
void check_equal(detail::CudaBackend& backend, const detail::ResidentLayout& layout,
                 const reference::ResidentLayout& expected) {
  backend.synchronize({});
  CHECK(layout.blocks == expected.blocks);
  CHECK(layout.phases == static_cast<std::int64_t>(expected.phase_offsets.size()));
  CHECK(layout.input_rows == static_cast<std::int64_t>(expected.inputs.size()));
  // Not CHECK(a == b): it would print the arrays.
  const bool order = array_of(backend, layout.order) == expected.order;
  const bool masks = array_of(backend, layout.masks) == expected.masks;
  const bool locals = array_of(backend, layout.locals) == expected.locals;
  const bool phase_begin = array_of(backend, layout.phase_begin) == expected.phase_begin;
  const bool phase_offsets = array_of(backend, layout.phase_offsets) == expected.phase_offsets;
  const bool input_begin = array_of(backend, layout.input_begin) == expected.input_begin;
  const bool inputs = array_of(backend, layout.inputs) == expected.inputs;
  CHECK(order);
  CHECK(masks);
  CHECK(locals);
  CHECK(phase_begin);
  CHECK(phase_offsets);
  CHECK(input_begin);
  CHECK(inputs);
}

const detail::ResidentLayout& resident_of(detail::CudaBackend& backend, const detail::CudaMap& map,
                                          const ResidentKey& key, Stream stream = {}) {
  const detail::ContextScope scope(backend.cuda_device());
  return map.resident_layout(key, stream);
}

/// Builds the layout of a map whose indices may be those of an inverse, and compares it.
reference::ResidentLayout check_map(detail::CudaBackend& backend, const detail::CudaMap& map,
                                    const Scene& scene, const ResidentKey& key) {
  REQUIRE(map.serves_resident_layouts());
  const auto indices = to_host(backend, map.indices(), map.rows * map.volume());
  const reference::MapView view{indices.data(), map.rows, map.volume()};
  auto expected = reference::resident_layout(scene.coords.data(), scene.grid, view, map.kernel,
                                             key.block_rows, key.capacity);
  CHECK(reference::defect(expected, scene.coords.data(), scene.grid, view).empty());
  check_equal(backend, resident_of(backend, map, key), expected);
  return expected;
}

}  // namespace

TEST_CASE("resident layouts of boxes equal those built on the host") {
  const auto backend = open_gpu();
  const Extent3 kernel = GENERATE(Extent3{1, 1, 1}, Extent3{3, 3, 3}, Extent3{2, 2, 2}, Extent3{2, 4, 4});
  const int block_rows = GENERATE(64, 128, 192, 256, 512);
  const int capacity = GENERATE(0, 100, 8190);  // beyond the block's rows, but for the last
  const std::int64_t rows = GENERATE(1, 63, 64, 511, 6000);
  const Scene scene = box_scene(rows, 24, 2);
  const OnDevice<std::int32_t> coords(backend, scene.coords);
  const auto map = build_map(*backend, coords.data(), rows, scene.grid, {.kernel = kernel});
  (void)check_map(*backend, *map, scene,
                  {.block_rows = block_rows, .capacity = std::min(block_rows + capacity, 8190)});
}

TEST_CASE("resident layouts of a surface and of a full box equal those built on the host") {
  const auto backend = open_gpu();
  const Scene scene = GENERATE(surface_scene(150), box_scene(20 * 20 * 20, 20));
  const int block_rows = GENERATE(64, 256, 512);
  const OnDevice<std::int32_t> coords(backend, scene.coords);
  const auto map = build_map(*backend, coords.data(), scene.rows(), scene.grid, {});
  const auto roomy = check_map(*backend, *map, scene, {.block_rows = block_rows, .capacity = 4096});
  CHECK(roomy.phase_begin.back() == roomy.blocks);
  const auto tight = check_map(*backend, *map, scene, {.block_rows = block_rows, .capacity = block_rows});
  CHECK(tight.phase_begin.back() > tight.blocks);
}

TEST_CASE("neighbors that lie anywhere take several phases") {
  const auto backend = open_gpu();
  const int block_rows = GENERATE(64, 256, 512);
  const int capacity = GENERATE(512, 700, 3000, 8190);
  const Scene scene = box_scene(9000, 40);
  const std::int64_t rows = scene.rows();
  std::mt19937 random(53);
  std::vector<std::int32_t> indices(static_cast<std::size_t>(rows * 27));
  for (std::int32_t& index : indices) {
    index = random() % 3 == 0 ? -1 : static_cast<std::int32_t>(random() % static_cast<unsigned>(rows));
  }
  std::fill(indices.begin(), indices.begin() + rows * 9, -1);
  const auto shape = detail::place_shape(scene.grid);
  std::vector<std::uint64_t> places;
  for (std::int64_t row = 0; row < rows; ++row) {
    std::uint64_t place = 0;
    for (int bit = shape.axis_bits - 1; bit >= 0; --bit) {
      for (int axis = 1; axis <= 3; ++axis) {
        const std::int32_t coordinate = scene.coords[static_cast<std::size_t>(row * 4 + axis)];
        place = place << 1 | (static_cast<std::uint64_t>(coordinate) >> bit & 1u);
      }
    }
    places.push_back(place);
  }
  const OnDevice<std::int32_t> device_indices(backend, indices);
  const OnDevice<std::uint64_t> device_places(backend, places);
  const detail::ContextScope scope(backend->cuda_device());
  const detail::ResidentLayoutSource source{.map = {.device = backend->cuda_device(),
                                                    .indices = device_indices.data(),
                                                    .rows = rows,
                                                    .volume = 27,
                                                    .kernel = {3, 3, 3}},
                                            .places = device_places.data(),
                                            .place_shape = shape};
  const auto order = detail::build_place_order(source, {});
  const ResidentKey key{.block_rows = block_rows, .capacity = capacity};
  const auto layout = detail::build_resident_layout(source, key, *order, {});
  const reference::MapView view{indices.data(), rows, 27};
  const auto expected =
      reference::resident_layout(scene.coords.data(), scene.grid, view, {3, 3, 3}, block_rows, capacity);
  CHECK(reference::defect(expected, scene.coords.data(), scene.grid, view).empty());
  check_equal(*backend, *layout, expected);
  backend->synchronize({});
}

TEST_CASE("an inverse map serves resident layouts of its own") {
  const auto backend = open_gpu();
  const Extent3 kernel = GENERATE(Extent3{2, 2, 2}, Extent3{2, 3, 4});
  const Scene scene = box_scene(3000, 20);
  const OnDevice<std::int32_t> coords(backend, scene.coords);
  const auto map = build_map(*backend, coords.data(), scene.rows(), scene.grid, {.kernel = kernel});
  const detail::ContextScope scope(backend->cuda_device());
  const detail::CudaMap& inverse = map->inverse({});
  REQUIRE(&inverse != map.get());
  (void)check_map(*backend, inverse, scene, {.block_rows = 128, .capacity = 300});
}

TEST_CASE("rows outside the grid and repeated ones have places in an unchecked map's resident layout") {
  const auto backend = open_gpu();
  Scene scene = box_scene(2000, 20);
  std::mt19937 random(54);
  for (std::int32_t& value : scene.coords) {
    if (random() % 20 == 0) value = random() % 2 == 0 ? -7 : 2'000'000'000;
    if (random() % 20 == 0) value = 3;
  }
  const OnDevice<std::int32_t> coords(backend, scene.coords);
  const auto map = build_map(*backend, coords.data(), scene.rows(), scene.grid, {.checked = false});
  (void)check_map(*backend, *map, scene, {.block_rows = 64, .capacity = 200});
}

TEST_CASE("blocks without any neighbor have one phase without inputs") {
  const auto backend = open_gpu();
  const Scene scene{{.batch = 1, .x = 20, .y = 20, .z = 20}, std::vector<std::int32_t>(4 * 300, -1)};
  const OnDevice<std::int32_t> coords(backend, scene.coords);
  const auto map = build_map(*backend, coords.data(), 300, scene.grid, {.checked = false});
  const auto layout = check_map(*backend, *map, scene, {.block_rows = 128, .capacity = 128});
  CHECK(layout.phase_offsets == std::vector<std::uint32_t>(3, 0));
}

TEST_CASE("a resident layout is built once a key, and any stream may ask for it") {
  const auto backend = open_gpu();
  const Scene scene = box_scene(5000, 20);
  const OnDevice<std::int32_t> coords(backend, scene.coords);
  const auto map = build_map(*backend, coords.data(), scene.rows(), scene.grid, {});
  const OwnStream stream(*backend);
  const ResidentKey key{.block_rows = 256, .capacity = 1000};
  const auto& first = resident_of(*backend, *map, key, stream);
  CHECK(&first == &resident_of(*backend, *map, key));
  CHECK(&first != &resident_of(*backend, *map, {.block_rows = 256, .capacity = 1001}));
  CHECK(&first == &resident_of(*backend, *map, key, stream));
}

TEST_CASE("maps that have no resident layout say so") {
  const auto backend = open_gpu();
  const Scene scene = box_scene(100, 20);
  const OnDevice<std::int32_t> coords(backend, scene.coords);
  const auto serves = [&](std::int64_t rows, const Grid& grid, const Extent3& kernel) {
    return build_map(*backend, coords.data(), rows, grid, {.kernel = kernel})->serves_resident_layouts();
  };
  CHECK(serves(100, scene.grid, {3, 3, 3}));
  CHECK(serves(100, {.batch = 2, .x = 1 << 21, .y = 20, .z = 20}, {3, 3, 3}));
  CHECK(!serves(0, scene.grid, {3, 3, 3}));
  CHECK(!serves(100, scene.grid, {5, 5, 5}));
  CHECK(!serves(100, {.batch = 3, .x = 1 << 21, .y = 20, .z = 20}, {3, 3, 3}));
  CHECK(!serves(100, {.batch = 1, .x = 1 << 22, .y = 20, .z = 20}, {3, 3, 3}));
  const auto frames = backend->frame_map({.capacity = 100, .grid = scene.grid, .options = {}}, {});
  CHECK(!std::static_pointer_cast<const detail::CudaMap>(frames->map())->serves_resident_layouts());
  const auto map = build_map(*backend, coords.data(), 100, scene.grid, {});
  for (const ResidentKey& key : {ResidentKey{0, 64}, ResidentKey{96, 100}, ResidentKey{576, 600},
                                 ResidentKey{128, 127}, ResidentKey{128, 8191}}) {
    CHECK_THROWS_AS(resident_of(*backend, *map, key), Error);
  }
}
