#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fmt/format.h>

#include <flexgemm/flexgemm.hpp>

#include "reference/reference.hpp"
#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::cuda_test;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr std::int32_t largest = std::numeric_limits<std::int32_t>::max();

/// One box for each kind of table, each with its cells at a border of the grid.
const std::array boxes{
    Box{.grid = {.batch = 1, .x = 20, .y = 20, .z = 20}, .extent = 20},
    Box{.grid = {.batch = 3, .x = 24, .y = 1, .z = 40}, .extent = 24},
    Box{.grid = {.batch = 1, .x = 4000, .y = 1, .z = 1}, .extent = 4000},
    Box{.grid = {.batch = 1, .x = 65536, .y = 65536, .z = 1}, .x = 65500, .y = 65490, .extent = 50},
    Box{.grid = {.batch = 2, .x = 70000, .y = 70000, .z = 70000},
        .x = 69985,
        .y = 69985,
        .z = 69985,
        .extent = 15},
    Box{.grid = {.batch = 1, .x = 1 << 21, .y = 1 << 21, .z = 1 << 21}, .z = (1 << 21) - 20, .extent = 20},
    Box{.grid = {.batch = 2, .x = largest, .y = largest, .z = largest},
        .x = largest - 15,
        .y = largest - 15,
        .z = largest - 15,
        .extent = 15},
};

void check_against_reference(detail::CudaBackend& backend, const std::vector<std::int32_t>& coords,
                             const std::int32_t* on_device, const Grid& grid,
                             const SubmanifoldOptions& options) {
  const auto rows = static_cast<std::int64_t>(coords.size() / 4);
  const auto map = build_map(backend, on_device, rows, grid, options);
  const std::vector<std::int32_t> expected = reference::neighbor_map(coords.data(), rows, grid, options);
  CHECK(to_host(backend, map->indices(), rows * map->volume()) == expected);
  CHECK(map->pairs() ==
        std::count_if(expected.begin(), expected.end(), [](std::int32_t row) { return row >= 0; }));
}

}  // namespace

TEST_CASE("a map equals the reference's for every kernel, dilation, grid and mode") {
  const auto backend = open_gpu();
  const Box box = GENERATE(from_range(boxes));
  const Extent3 kernel = GENERATE(Extent3{1, 1, 1}, Extent3{3, 3, 3}, Extent3{3, 1, 5}, Extent3{2, 3, 4},
                                  Extent3{5, 5, 5}, Extent3{7, 7, 7});
  const Extent3 dilation = GENERATE(Extent3{1, 1, 1}, Extent3{2, 1, 3}, Extent3{1 << 24, 1 << 24, 1 << 24});
  const bool checked = GENERATE(true, false);
  const std::int64_t rows = GENERATE(1, 33, 900);
  const std::vector<std::int32_t> coords = random_coords(box, rows, 7);
  const OnDevice<std::int32_t> on_device(backend, coords);
  check_against_reference(*backend, coords, on_device.data(), box.grid,
                          {.kernel = kernel, .dilation = dilation, .checked = checked});
}

TEST_CASE("a large map equals the reference's") {
  const auto backend = open_gpu();
  const Box box{.grid = {.batch = 2, .x = 90, .y = 90, .z = 90}, .extent = 90};
  const bool checked = GENERATE(true, false);
  const std::vector<std::int32_t> coords = random_coords(box, 200'000, 11);
  const OnDevice<std::int32_t> on_device(backend, coords);
  check_against_reference(*backend, coords, on_device.data(), box.grid, {.checked = checked});
}

namespace {

/// Enough rows for a table of blocks: dense, at a border of the grid whose last blocks are cut, and a block
/// for nearly every row.
const std::array boxes_of_blocks{
    Box{.grid = {.batch = 2, .x = 51, .y = 49, .z = 50}, .extent = 60},
    Box{.grid = {.batch = 1, .x = 4001, .y = 4002, .z = 4003}, .x = 3960, .y = 3960, .z = 3960, .extent = 60},
    Box{.grid = {.batch = 3, .x = 2000, .y = 2000, .z = 1}, .extent = 2000},
};

}  // namespace

TEST_CASE("a map of many rows equals the reference's for every kernel and dilation") {
  const auto backend = open_gpu();
  const Box box = GENERATE(from_range(boxes_of_blocks));
  const Extent3 kernel = GENERATE(Extent3{3, 3, 3}, Extent3{2, 3, 4}, Extent3{5, 1, 1});
  const Extent3 dilation = GENERATE(Extent3{1, 1, 1}, Extent3{2, 1, 5}, Extent3{1 << 24, 1 << 24, 1 << 24});
  const std::vector<std::int32_t> coords = random_coords(box, 60'000, 7);
  const OnDevice<std::int32_t> on_device(backend, coords);
  check_against_reference(*backend, coords, on_device.data(), box.grid,
                          {.kernel = kernel, .dilation = dilation});
}

TEST_CASE("checked mode of a map of many rows names the lowest that repeats a coordinate or lies outside") {
  const auto backend = open_gpu();
  const Box box = GENERATE(from_range(boxes_of_blocks));
  std::vector<std::int32_t> coords = random_coords(box, 60'000, 5);
  const auto copy_row = [&coords](std::ptrdiff_t from, std::ptrdiff_t to) {
    std::copy_n(coords.begin() + 4 * from, 4, coords.begin() + 4 * to);
  };
  for (const int row : {59'990, 40'600, 30'411}) copy_row(100, row);
  copy_row(40'000, 50'000);
  coords[4 * 55'000 + 2] = box.grid.y;
  const auto names = [&](int row) {
    const OnDevice<std::int32_t> on_device(backend, coords);
    CHECK_THROWS_MATCHES(
        build_map(*backend, on_device.data(), 60'000, box.grid, {}), Error,
        Catch::Matchers::MessageMatches(ContainsSubstring(fmt::format("row {} of coords", row))));
    check_against_reference(*backend, coords, on_device.data(), box.grid, {.checked = false});
  };
  names(30'411);
  coords[4 * 20'000 + 1] = -1;
  names(20'000);
}

TEST_CASE("coordinates need no more than the alignment of an int") {
  const auto backend = open_gpu();
  const Box& box = boxes[0];
  std::vector<std::int32_t> shifted = random_coords(box, 500, 3);
  const std::vector<std::int32_t> coords = shifted;
  shifted.insert(shifted.begin(), 0);
  const OnDevice<std::int32_t> on_device(backend, shifted);
  check_against_reference(*backend, coords, on_device.data() + 1, box.grid, {});
}

TEST_CASE("a map of no rows has no pairs") {
  const auto backend = open_gpu();
  const bool checked = GENERATE(true, false);
  const auto map =
      build_map(*backend, nullptr, 0, {.batch = 1, .x = 8, .y = 8, .z = 8}, {.checked = checked});
  CHECK(map->pairs() == 0);
  CHECK(map->rows == 0);
}

TEST_CASE("checked mode names the lowest row that repeats a coordinate") {
  const auto backend = open_gpu();
  const Box box = GENERATE(from_range(boxes));
  std::vector<std::int32_t> coords = random_coords(box, 800, 5);
  for (const int row : {790, 600, 411}) std::copy_n(coords.begin() + 4 * 100, 4, coords.begin() + 4 * row);
  std::copy_n(coords.begin() + 4 * 400, 4, coords.begin() + 4 * 500);
  const OnDevice<std::int32_t> on_device(backend, coords);
  const std::string place = fmt::format("row 411 of coords is (batch {}, x {}, y {}, z {})", coords[400],
                                        coords[401], coords[402], coords[403]);
  for (const Extent3 kernel : {Extent3{3, 3, 3}, Extent3{2, 2, 2}}) {
    CHECK_THROWS_MATCHES(build_map(*backend, on_device.data(), 800, box.grid, {.kernel = kernel}), Error,
                         Catch::Matchers::MessageMatches(ContainsSubstring(place)));
  }
  check_against_reference(*backend, coords, on_device.data(), box.grid, {.checked = false});
}

TEST_CASE("checked mode names the lowest row outside the grid") {
  const auto backend = open_gpu();
  const Box& box = boxes[1];
  std::vector<std::int32_t> coords = random_coords(box, 300, 9);
  const std::array<std::array<std::int32_t, 4>, 4> outside{
      {{3, 0, 0, 0}, {0, -1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, std::numeric_limits<std::int32_t>::min()}}};
  for (std::size_t i = 0; i < outside.size(); ++i) {
    std::copy_n(outside[i].begin(), 4, coords.begin() + 4 * (50 + 60 * static_cast<std::ptrdiff_t>(i)));
  }
  const OnDevice<std::int32_t> on_device(backend, coords);
  try {
    build_map(*backend, on_device.data(), 300, box.grid, {});
    FAIL("a map with rows outside the grid was accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_coordinate);
    CHECK_THAT(error.what(), ContainsSubstring("row 50 of coords is (batch 3, x 0, y 0, z 0)"));
    CHECK_THAT(error.what(), ContainsSubstring("outside the grid of batch 3, 24x1x40"));
  }
  check_against_reference(*backend, coords, on_device.data(), box.grid, {.checked = false});
}
