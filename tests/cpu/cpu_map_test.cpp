#include <cstring>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <flexgemm/flexgemm.hpp>

#include "reference/reference.hpp"

using namespace flexgemm;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr std::int32_t most = std::numeric_limits<std::int32_t>::max();
constexpr std::int32_t least = std::numeric_limits<std::int32_t>::min();

ConstTensorView view(const std::vector<std::int32_t>& coords) {
  return {coords.data(), {static_cast<std::int64_t>(coords.size()) / 4, 4}};
}

std::vector<std::int32_t> indices(const NeighborMap& map) {
  const auto* data = static_cast<const std::int32_t*>(map.indices().data);
  return {data, data + map.rows() * map.volume()};
}

void require_equal_to_reference(const std::vector<std::int32_t>& coords, const Grid& grid,
                                const SubmanifoldOptions& options) {
  const auto rows = static_cast<std::int64_t>(coords.size()) / 4;
  const std::vector<std::int32_t> expected = reference::neighbor_map(coords.data(), rows, grid, options);
  std::int64_t pairs = 0;
  for (const std::int32_t neighbor : expected) pairs += neighbor >= 0;
  for (const int threads : {1, 3}) {
    const Context context = Context::open(Device::cpu(), {.threads = threads});
    const NeighborMap map = context.submanifold_map(view(coords), grid, options);
    REQUIRE(indices(map) == expected);
    REQUIRE(map.pairs() == pairs);
  }
}

/// `count` cells of a cube of the given side, drawn with repetition, at `origin`.
std::vector<std::int32_t> random_coords(int count, int side, Extent3 origin, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_int_distribution<std::int32_t> cell(0, side - 1);
  std::vector<std::int32_t> coords;
  for (int i = 0; i < count; ++i) {
    coords.insert(coords.end(), {cell(generator) % 2, origin.x + cell(generator), origin.y + cell(generator),
                                 origin.z + cell(generator)});
  }
  return coords;
}

std::vector<std::int32_t> without_duplicates(const std::vector<std::int32_t>& coords) {
  std::set<std::vector<std::int32_t>> seen;
  std::vector<std::int32_t> unique;
  for (std::size_t i = 0; i < coords.size(); i += 4) {
    if (seen.insert({coords[i], coords[i + 1], coords[i + 2], coords[i + 3]}).second)
      unique.insert(unique.end(), coords.begin() + i, coords.begin() + i + 4);
  }
  return unique;
}

}  // namespace

TEST_CASE("maps of odd, even and mixed kernels equal the reference") {
  const auto coords = without_duplicates(random_coords(3000, 14, {0, 0, 0}, 1));
  for (const Extent3 kernel : {Extent3{1, 1, 1}, {3, 3, 3}, {2, 2, 2}, {3, 1, 5}, {4, 3, 6}, {7, 7, 7}}) {
    for (const Extent3 dilation : {Extent3{1, 1, 1}, {2, 1, 3}})
      require_equal_to_reference(coords, {2, 14, 14, 14}, {.kernel = kernel, .dilation = dilation});
  }
}

TEST_CASE("maps are right at the corner of a grid of more than 2^64 cells") {
  const auto coords = without_duplicates(random_coords(2000, 12, {most - 12, most - 12, most - 12}, 2));
  const Grid grid{2, most, most, most};
  require_equal_to_reference(coords, grid, {.kernel = {5, 3, 3}});
  require_equal_to_reference(coords, grid, {.kernel = {7, 7, 7}, .dilation = {1 << 24, 1 << 24, 1 << 24}});
  require_equal_to_reference(coords, grid, {.kernel = {2, 3, 4}, .dilation = {1, 2, 1}});
}

TEST_CASE("cells far apart that share low bits are told apart") {
  std::vector<std::int32_t> coords;
  for (std::int32_t i = 0; i < 4000; ++i)
    coords.insert(coords.end(), {0, i << 19, (i % 7) << 28, (i % 63) << 25});
  require_equal_to_reference(coords, {1, most, most, most}, {});
}

TEST_CASE("unchecked, rows outside the grid have no neighbors and the lowest of equal rows is everyone's") {
  std::vector<std::int32_t> coords = random_coords(1500, 9, {-1, -1, -1}, 3);
  coords.insert(coords.end(), {least, 0, 0, 0, 0, most, least, 3, 1, 2, 3, most});
  require_equal_to_reference(coords, {2, 7, 7, 7}, {.kernel = {3, 3, 3}, .checked = false});
  require_equal_to_reference(coords, {2, 7, 7, 7}, {.kernel = {2, 3, 4}, .checked = false});
}

TEST_CASE("checked, the lowest row that offends is named with its coordinate and the grid") {
  const Context context = Context::open(Device::cpu(), {.threads = 3});
  auto coords = without_duplicates(random_coords(6000, 40, {0, 0, 0}, 4));
  const Grid grid{2, 40, 40, 40};
  const auto set_row = [&](std::size_t row, std::vector<std::int32_t> value) {
    std::copy(value.begin(), value.end(), coords.begin() + static_cast<std::ptrdiff_t>(4 * row));
  };
  const auto require_message = [&](const std::string& part) {
    for (int repetition = 0; repetition < 10; ++repetition) {
      try {
        context.submanifold_map(view(coords), grid);
        FAIL("no error");
      } catch (const Error& error) {
        REQUIRE(error.code() == ErrorCode::invalid_coordinate);
        REQUIRE_THAT(error.what(), ContainsSubstring(part));
        REQUIRE_THAT(error.what(), ContainsSubstring("grid of batch 2, 40x40x40"));
      }
    }
  };
  set_row(5000, {0, 0, 0, -1});
  set_row(4500, {2, 1, 1, 1});
  require_message("row 4500 of coords is (2, 1, 1, 1)");
  const std::vector<std::int32_t> repeated(coords.begin() + 40, coords.begin() + 44);
  set_row(4400, repeated);
  set_row(3000, repeated);
  require_message("rows 10 and 3000 of coords are both");
}

TEST_CASE("a map of no rows is empty and a map counts its memory until its last handle dies") {
  const Context context = Context::open(Device::cpu());
  const NeighborMap empty = context.submanifold_map({static_cast<const std::int32_t*>(nullptr), {0, 4}}, {});
  REQUIRE(empty.rows() == 0);
  REQUIRE(empty.pairs() == 0);
  const auto coords = without_duplicates(random_coords(500, 9, {0, 0, 0}, 5));
  {
    const NeighborMap map = context.submanifold_map(view(coords), {2, 9, 9, 9});
    const NeighborMap copy = map;
    REQUIRE(context.memory().current_bytes == static_cast<std::size_t>(map.rows()) * 27 * 4);
  }
  REQUIRE(context.memory().current_bytes == 0);
}
