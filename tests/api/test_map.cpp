#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "api/support.hpp"
#include "op/voxel_cloud.hpp"
#include "reference/reference.hpp"

using namespace flexgemm;
using namespace flexgemm::api_test;

namespace {

constexpr std::int32_t most = std::numeric_limits<std::int32_t>::max();
const Grid small_grid{2, 8, 8, 8};

Context open_cpu() { return Context::open(Device::cpu()); }

/// Builds the map and compares it with the reference's.
void check_map(const Coords& coords, const Grid& grid, const SubmanifoldOptions& options) {
  const auto rows = static_cast<std::int64_t>(coords.size() / 4);
  const NeighborMap map = open_cpu().submanifold_map(view_of(coords), grid, options);
  const std::vector<std::int32_t> expected = reference::neighbor_map(coords.data(), rows, grid, options);
  CHECK(indices_of(map) == expected);
  std::int64_t pairs = 0;
  for (const std::int32_t index : expected) pairs += index >= 0;
  CHECK(map.pairs() == pairs);
}

}  // namespace

TEST_CASE("a map tells what it was built with") {
  const Coords coords{0, 1, 2, 3, 1, 1, 2, 3};
  const SubmanifoldOptions options{.kernel = {3, 1, 5}, .dilation = {2, 3, 4}};
  const NeighborMap map = open_cpu().submanifold_map(view_of(coords), small_grid, options);
  CHECK(bool(map));
  CHECK(!NeighborMap());
  CHECK(map.device() == Device::cpu());
  CHECK(map.rows() == 2);
  CHECK(map.volume() == 15);
  CHECK(map.kernel() == options.kernel);
  CHECK(map.dilation() == options.dilation);
  CHECK(map.indices().dtype == DType::i32);
  CHECK(map.indices().shape == Shape{2, 15});
  CHECK(map.pairs() == 2);
}

TEST_CASE("a map refuses coordinates of the wrong shape, type or address") {
  const Context context = open_cpu();
  const Coords coords(40);
  const auto build = [&](const ConstTensorView& view) { (void)context.submanifold_map(view, small_grid); };
  check_error(ErrorCode::invalid_argument, {"coords", "[10, 3]", "[N, 4]"}, [&] {
    build({coords.data(), {10, 3}});
  });
  check_error(ErrorCode::invalid_argument, {"coords", "[40]"}, [&] { build({coords.data(), {40}}); });
  check_error(ErrorCode::invalid_argument, {"coords"}, [&] { build({}); });
  check_error(ErrorCode::invalid_argument, {"coords", "f32", "i32"}, [&] {
    build({coords.data(), DType::f32, {10, 4}});
  });
  check_error(ErrorCode::invalid_argument, {"coords", "[10, 4]", "null"}, [&] {
    build({nullptr, DType::i32, {10, 4}});
  });
  check_error(ErrorCode::invalid_argument, {"coords", "multiple", "4"}, [&] {
    build({reinterpret_cast<const std::byte*>(coords.data()) + 2, DType::i32, {9, 4}});
  });
  check_error(ErrorCode::invalid_argument, {"coords", "2147483648"}, [&] {
    build({coords.data(), DType::i32, {std::int64_t{1} << 31, 4}});
  });
}

TEST_CASE("a map refuses kernels, dilations and grids outside their limits") {
  const Context context = open_cpu();
  const Coords coords{0, 0, 0, 0};
  const auto build = [&](const Grid& grid, const SubmanifoldOptions& options) {
    (void)context.submanifold_map(view_of(coords), grid, options);
  };
  for (const Extent3 kernel : {Extent3{0, 3, 3}, Extent3{3, 8, 3}, Extent3{3, 3, -1}, Extent3{most, 1, 1}}) {
    const std::string text =
        std::to_string(kernel.x) + "x" + std::to_string(kernel.y) + "x" + std::to_string(kernel.z);
    check_error(ErrorCode::invalid_argument, {"kernel", text, "7"},
                [&] { build(small_grid, {.kernel = kernel}); });
  }
  for (const Extent3 dilation : {Extent3{0, 1, 1}, Extent3{1, -2, 1}, Extent3{1, 1, most}})
    check_error(ErrorCode::invalid_argument, {"dilation", std::to_string(dilation.x)},
                [&] { build(small_grid, {.dilation = dilation}); });
  for (const Grid grid : {Grid{0, 8, 8, 8}, Grid{1, 0, 8, 8}, Grid{1, 8, -8, 8}, Grid{1, 8, 8, 0}})
    check_error(ErrorCode::invalid_argument, {"grid", std::to_string(grid.y)}, [&] { build(grid, {}); });
}

TEST_CASE("a checked map names the row and the coordinate that lies outside the grid") {
  const Context context = open_cpu();
  const Grid grid{2, 10, 20, 30};
  for (const Coords& bad : {Coords{2, 5, 5, 5}, Coords{-1, 5, 5, 5}, Coords{0, 10, 5, 5}, Coords{0, 5, 20, 5},
                            Coords{0, 5, 5, 30}, Coords{0, -7, 5, 5},
                            Coords{0, 5, 5, std::numeric_limits<std::int32_t>::min()}}) {
    Coords coords{0, 1, 1, 1, 0, 2, 2, 2};
    coords.insert(coords.end(), bad.begin(), bad.end());
    const std::string row = "2";
    check_error(
        ErrorCode::invalid_coordinate,
        {row, std::to_string(bad[0]), std::to_string(bad[1]), std::to_string(bad[2]), std::to_string(bad[3])},
        [&] { (void)context.submanifold_map(view_of(coords), grid); });
  }
}

TEST_CASE("a checked map names a coordinate that occurs twice") {
  const Context context = open_cpu();
  Coords coords;
  for (int i = 0; i < 500; ++i) coords.insert(coords.end(), {0, i % 10, i / 10 % 10, i / 100});
  coords.insert(coords.end(), {0, 7, 5, 3});  // row 500 repeats row 357
  check_error(ErrorCode::invalid_coordinate, {"357", "500", "7", "5", "3"}, [&] {
    (void)context.submanifold_map(view_of(coords), {1, 10, 10, 10});
  });
}

TEST_CASE("an unchecked map takes the lowest of equal rows and ignores rows outside the grid") {
  Coords coords;
  for (int i = 0; i < 400; ++i) coords.insert(coords.end(), {i % 3 - 1, i % 7, i / 7 % 9 - 1, i % 5});
  for (const Extent3 kernel : {Extent3{1, 1, 1}, Extent3{3, 3, 3}, Extent3{2, 3, 4}})
    check_map(coords, {1, 6, 7, 5}, {.kernel = kernel, .checked = false});
  const Coords extremes{most, most, most, most, -most, -most, -most, -most, 0, most, 0, 0, 0, 0, 0, 0};
  check_map(extremes, {1, 4, 4, 4},
            {.kernel = {7, 7, 7}, .dilation = {1 << 24, 1 << 24, 1 << 24}, .checked = false});
}

TEST_CASE("maps of grids beyond 2^32 and 2^64 cells are right up to the last cell") {
  for (const Grid grid : {Grid{1, 1 << 12, 1 << 12, 1 << 12}, Grid{4, 1 << 20, 1 << 20, 1 << 20},
                          Grid{1, most, most, most}, Grid{most, most, most, most}}) {
    CAPTURE(grid.batch, grid.x);
    Coords coords;
    for (const std::int32_t b : {0, grid.batch - 1}) {
      if (b == 0 && grid.batch == 1 && !coords.empty()) continue;
      for (int i = 0; i < 64; ++i) {
        const std::int32_t dx = i % 4, dy = i / 4 % 4, dz = i / 16;
        coords.insert(coords.end(), {b, grid.x - 1 - dx, grid.y - 1 - dy, grid.z - 1 - dz});
        coords.insert(coords.end(), {b, dx, dy, dz});
        coords.insert(coords.end(), {b, dx, dy, grid.z - 1 - dz});
        coords.insert(coords.end(), {b, grid.x - 1 - dx, dy, dz});
      }
      if (grid.batch == 1) break;
    }
    check_map(coords, grid, {.kernel = {5, 3, 7}, .dilation = {1, 2, 1}});
    check_map(coords, grid, {.kernel = {2, 2, 2}, .dilation = {1 << 24, 1, 1}});
  }
}

TEST_CASE("offset v is (kx * Ky + ky) * Kz + kz and reads the cell at (k - K / 2) * dilation") {
  const Coords coords{0, 4, 4, 4, /**/ 0, 2, 4, 5, /**/ 0, 4, 7, 4};
  const NeighborMap map =
      open_cpu().submanifold_map(view_of(coords), small_grid, {.kernel = {3, 3, 2}, .dilation = {2, 3, 1}});
  const std::vector<std::int32_t> indices = indices_of(map);
  const auto neighbor = [&](int row, int kx, int ky, int kz) {
    return indices[static_cast<std::size_t>(row * 18 + (kx * 3 + ky) * 2 + kz)];
  };
  CHECK(neighbor(0, 1, 1, 1) == 0);   // K / 2 is rounded down: of two taps the second is the centre
  CHECK(neighbor(0, 1, 2, 1) == 2);   // y + 3
  CHECK(neighbor(2, 1, 0, 1) == 0);   // y - 3
  CHECK(neighbor(1, 2, 1, 0) == 0);   // x + 2, z - 1
  CHECK(neighbor(1, 2, 2, 0) == 2);   // x + 2, y + 3, z - 1
  CHECK(neighbor(0, 0, 1, 1) == -1);  // (2, 4, 4) is empty
  CHECK(map.pairs() == 3 + 4);
}

TEST_CASE("a map of no voxels is empty and needs no memory") {
  const NeighborMap map = open_cpu().submanifold_map({nullptr, DType::i32, {0, 4}}, small_grid);
  CHECK(bool(map));
  CHECK(map.rows() == 0);
  CHECK(map.pairs() == 0);
  CHECK(map.indices().shape == Shape{0, 27});
}

TEST_CASE("a map outlives its coordinates, its context and the handle it was copied from") {
  NeighborMap kept;
  std::vector<std::int32_t> expected;
  {
    const Context context = open_cpu();
    op_test::VoxelCloud cloud = op_test::voxel_cloud(1000, 2, false, 1);
    expected = reference::neighbor_map(cloud.coords.data(), 1000, cloud.grid, {});
    const NeighborMap map = context.submanifold_map(view_of(cloud.coords), cloud.grid);
    kept = map;
  }
  CHECK(indices_of(kept) == expected);
  CHECK(kept.pairs() > 1000);
}
