#include <algorithm>
#include <cstdlib>
#include <map>
#include <numeric>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <flexgemm/flexgemm.hpp>

#include "cuda/launch.hpp"
#include "cuda/tile_layout.hpp"
#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::cuda_test;
using detail::LayoutKind;

namespace {

/// A layout in host memory, with the map that it was made from.
struct HostLayout {
  std::vector<std::int32_t> indices;  // [rows, volume]
  std::int64_t rows = 0;
  std::int64_t volume = 0;
  std::int64_t row_tile = 0;
  std::int64_t tiles = 0;
  std::vector<std::int32_t> order;
  std::vector<std::int64_t> tile_begin;
  std::vector<std::int32_t> step_offset;
  std::vector<std::int32_t> step_rows;
  std::vector<std::int32_t> tile_order;

  std::int32_t neighbor(std::int64_t row, std::int64_t v) const {
    return row < 0 ? -1 : indices[static_cast<std::size_t>(row * volume + v)];
  }
  std::int32_t slot_row(std::int64_t tile, std::int64_t slot) const {
    return order[static_cast<std::size_t>(tile * row_tile + slot)];
  }
  /// Offsets that some row of the tile has, ascending.
  std::vector<std::int32_t> needed(std::int64_t tile) const {
    std::vector<std::int32_t> offsets;
    for (std::int32_t v = 0; v < volume; ++v) {
      for (std::int64_t slot = 0; slot < row_tile; ++slot) {
        if (neighbor(slot_row(tile, slot), v) < 0) continue;
        offsets.push_back(v);
        break;
      }
    }
    return offsets;
  }
  std::vector<std::int32_t> visited(std::int64_t tile) const {
    const auto at = [this](std::int64_t t) {
      return step_offset.begin() + tile_begin[static_cast<std::size_t>(t)];
    };
    return {at(tile), at(tile + 1)};
  }
};

HostLayout read_layout(detail::CudaBackend& backend, const detail::CudaMap& map,
                       const detail::TileLayout& layout) {
  HostLayout host;
  host.rows = map.rows;
  host.volume = map.volume();
  host.row_tile = layout.row_tile;
  host.tiles = layout.tiles;
  host.indices = to_host(backend, map.indices(), host.rows * host.volume);
  host.order = to_host(backend, layout.order, layout.tiles * layout.row_tile);
  host.tile_begin = to_host<std::int64_t>(backend, layout.tile_begin.data(), layout.tiles + 1);
  const std::int64_t steps = host.tile_begin.back();
  REQUIRE(steps <= layout.steps);
  host.step_offset = to_host<std::int32_t>(backend, layout.step_offset.data(), steps);
  host.step_rows = to_host<std::int32_t>(backend, layout.step_rows.data(), steps * layout.row_tile);
  if (layout.tile_order.data() != nullptr) {
    host.tile_order = to_host<std::int32_t>(backend, layout.tile_order.data(), layout.tiles);
  }
  return host;
}

/// The steps of every tile hold what the map says, and every row is in one slot.
void check_layout(const HostLayout& layout, bool masked) {
  std::vector<std::int32_t> rows = layout.order;
  std::erase(rows, -1);
  std::sort(rows.begin(), rows.end());
  std::vector<std::int32_t> all(static_cast<std::size_t>(layout.rows));
  std::iota(all.begin(), all.end(), 0);
  CHECK(rows == all);

  std::vector<std::int32_t> every_offset(static_cast<std::size_t>(layout.volume));
  std::iota(every_offset.begin(), every_offset.end(), 0);
  bool offsets_right = layout.tile_begin.front() == 0;
  bool rows_right = true;
  for (std::int64_t tile = 0; tile < layout.tiles; ++tile) {
    offsets_right = offsets_right && layout.visited(tile) == (masked ? layout.needed(tile) : every_offset);
    const auto begin = layout.tile_begin[static_cast<std::size_t>(tile)];
    const auto end = layout.tile_begin[static_cast<std::size_t>(tile) + 1];
    for (std::int64_t step = begin; step < end; ++step) {
      for (std::int64_t slot = 0; slot < layout.row_tile; ++slot) {
        const std::int32_t v = layout.step_offset[static_cast<std::size_t>(step)];
        rows_right =
            rows_right && layout.step_rows[static_cast<std::size_t>(step * layout.row_tile + slot)] ==
                              layout.neighbor(layout.slot_row(tile, slot), v);
      }
    }
  }
  CHECK(offsets_right);
  CHECK(rows_right);
  CHECK(layout.tile_begin.back() == static_cast<std::int64_t>(layout.step_offset.size()));
}

/// Heavy tiles first, equal ones in their natural order.
void check_tile_order(const HostLayout& layout) {
  std::vector<std::int32_t> expected(static_cast<std::size_t>(layout.tiles));
  std::iota(expected.begin(), expected.end(), 0);
  std::stable_sort(expected.begin(), expected.end(), [&](std::int32_t a, std::int32_t b) {
    return layout.visited(a).size() > layout.visited(b).size();
  });
  CHECK(layout.tile_order == expected);
}

constexpr Box box{.grid = {.batch = 1, .x = 40, .y = 40, .z = 40}, .extent = 40};

}  // namespace

TEST_CASE("masked tiles visit the offsets of their rows and nothing else") {
  const auto backend = open_gpu();
  const Extent3 kernel =
      GENERATE(Extent3{1, 1, 1}, Extent3{3, 3, 3}, Extent3{2, 4, 4}, Extent3{5, 5, 5}, Extent3{7, 7, 7});
  const int row_tile = GENERATE(16, 64, 96, 128, 256);
  const std::int64_t rows = GENERATE(1, 127, 128, 129, 6000);
  const bool checked = GENERATE(true, false);
  const OnDevice<std::int32_t> coords(backend, random_coords(box, rows, 21));
  const auto map = build_map(*backend, coords.data(), rows, box.grid, {.kernel = kernel, .checked = checked});
  const auto& layout =
      layout_of(*backend, *map, {.kind = LayoutKind::masked, .row_tile = row_tile, .rows = rows});
  const HostLayout host = read_layout(*backend, *map, layout);
  check_layout(host, true);
  check_tile_order(host);
}

TEST_CASE("every group of offsets has all rows, in an order of its own, and visits offsets of its own") {
  const auto backend = open_gpu();
  const auto kind = GENERATE(LayoutKind::masked, LayoutKind::dense);
  const Extent3 kernel = GENERATE(Extent3{3, 3, 3}, Extent3{2, 4, 4});
  const int groups = GENERATE(2, 3, 9, 27);
  const bool group_major = GENERATE(true, false);
  const std::int64_t rows = GENERATE(1, 129, 6000);
  const OnDevice<std::int32_t> coords(backend, random_coords(box, rows, 26));
  const auto map = build_map(*backend, coords.data(), rows, box.grid, {.kernel = kernel});
  const auto& layout =
      layout_of(*backend, *map,
                {.kind = kind, .row_tile = 128, .rows = rows, .groups = groups, .group_major = group_major});
  const HostLayout host = read_layout(*backend, *map, layout);
  REQUIRE(layout.tiles_per_group == (rows + 127) / 128);
  REQUIRE(layout.tiles == layout.tiles_per_group * groups);
  bool rows_once = true;
  bool offsets_right = true;
  bool rows_right = true;
  for (int group = 0; group < groups; ++group) {
    std::vector<std::int32_t> in_group(host.order.begin() + group * layout.tiles_per_group * 128,
                                       host.order.begin() + (group + 1) * layout.tiles_per_group * 128);
    std::erase(in_group, -1);
    std::sort(in_group.begin(), in_group.end());
    std::vector<std::int32_t> all(static_cast<std::size_t>(rows));
    std::iota(all.begin(), all.end(), 0);
    rows_once = rows_once && in_group == all;
    const int first = detail::group_begin(map->volume(), groups, group);
    const int end = detail::group_begin(map->volume(), groups, group + 1);
    for (std::int64_t tile = group * layout.tiles_per_group; tile < (group + 1) * layout.tiles_per_group;
         ++tile) {
      std::vector<std::int32_t> wanted = host.needed(tile);
      if (kind == LayoutKind::dense) {
        wanted.resize(static_cast<std::size_t>(end - first));
        std::iota(wanted.begin(), wanted.end(), first);
      } else {
        std::erase_if(wanted, [&](std::int32_t v) { return v < first || v >= end; });
      }
      offsets_right = offsets_right && host.visited(tile) == wanted;
      for (std::int64_t step = host.tile_begin[static_cast<std::size_t>(tile)];
           step < host.tile_begin[static_cast<std::size_t>(tile) + 1]; ++step) {
        for (std::int64_t slot = 0; slot < 128; ++slot) {
          rows_right = rows_right && host.step_rows[static_cast<std::size_t>(step * 128 + slot)] ==
                                         host.neighbor(host.slot_row(tile, slot),
                                                       host.step_offset[static_cast<std::size_t>(step)]);
        }
      }
    }
  }
  CHECK(rows_once);
  CHECK(offsets_right);
  CHECK(rows_right);
  std::vector<std::int32_t> expected(static_cast<std::size_t>(layout.tiles));
  std::iota(expected.begin(), expected.end(), 0);
  std::stable_sort(expected.begin(), expected.end(), [&](std::int32_t a, std::int32_t b) {
    if (group_major && a / layout.tiles_per_group != b / layout.tiles_per_group) return a < b;
    return host.visited(a).size() > host.visited(b).size();
  });
  CHECK(host.tile_order == expected);
}

TEST_CASE("dense tiles visit every offset in the natural order of rows") {
  const auto backend = open_gpu();
  const Extent3 kernel = GENERATE(Extent3{3, 3, 3}, Extent3{5, 5, 5});
  const std::int64_t rows = GENERATE(1, 128, 1000);
  const OnDevice<std::int32_t> coords(backend, random_coords(box, rows, 22));
  const auto map = build_map(*backend, coords.data(), rows, box.grid, {.kernel = kernel});
  const HostLayout host = read_layout(
      *backend, *map, layout_of(*backend, *map, {.kind = LayoutKind::dense, .row_tile = 64, .rows = rows}));
  check_layout(host, false);
  CHECK(std::is_sorted(host.order.begin(), host.order.begin() + rows));
  CHECK(host.tile_order.empty());
}

TEST_CASE("the identity layout is a dense GEMM's") {
  const auto backend = open_gpu();
  const std::int64_t chunk = GENERATE(1, 64, 200);
  const OnDevice<std::int32_t> coords(backend, random_coords(box, 1000, 23));
  const auto map = build_map(*backend, coords.data(), 1000, box.grid, {});
  const auto& layout =
      layout_of(*backend, *map, {.kind = LayoutKind::identity, .row_tile = 64, .rows = chunk});
  const HostLayout host = read_layout(*backend, *map, layout);
  REQUIRE(layout.steps == (chunk + 63) / 64);
  CHECK(host.order == host.step_rows);
  for (std::int64_t slot = 0; slot < layout.tiles * 64; ++slot) {
    CHECK(host.order[static_cast<std::size_t>(slot)] == (slot < chunk ? slot : -1));
  }
  CHECK(std::all_of(host.step_offset.begin(), host.step_offset.end(), [](std::int32_t v) { return v == 0; }));
  for (std::int64_t tile = 0; tile <= layout.tiles; ++tile) {
    CHECK(host.tile_begin[static_cast<std::size_t>(tile)] == tile);
  }
}

TEST_CASE("Gray order sorts rows by the rank of their mask, equal ones by row") {
  const auto backend = open_gpu();
  const std::int64_t rows = 5000;
  const OnDevice<std::int32_t> coords(backend, random_coords(box, rows, 24));
  const auto map = build_map(*backend, coords.data(), rows, box.grid, {});
  const HostLayout host = read_layout(
      *backend, *map, layout_of(*backend, *map, {.kind = LayoutKind::masked, .row_tile = 128, .rows = rows}));
  const auto rank = [&host](std::int32_t row) {
    std::uint32_t value = 0;
    std::uint32_t parity = 0;
    // From the corners to the faces, of each the highest offset first; the centre is left out.
    for (const int distance : {3, 2, 1}) {
      for (int v = 26; v >= 0; --v) {
        if (std::abs(v / 9 - 1) + std::abs(v / 3 % 3 - 1) + std::abs(v % 3 - 1) != distance) continue;
        parity ^= host.neighbor(row, v) >= 0 ? 1u : 0u;
        value = value * 2 + parity;
      }
    }
    return value;
  };
  std::vector<std::int32_t> expected(static_cast<std::size_t>(rows));
  std::iota(expected.begin(), expected.end(), 0);
  std::stable_sort(expected.begin(), expected.end(),
                   [&](std::int32_t a, std::int32_t b) { return rank(a) < rank(b); });
  CHECK(std::equal(expected.begin(), expected.end(), host.order.begin()));
}

TEST_CASE("rows beyond a million are ordered within their block") {
  const auto backend = open_gpu();
  const std::int64_t rows = 1'100'000;
  std::vector<std::int32_t> coords;  // a full slab, in raster order
  for (std::int32_t i = 0; i < rows; ++i) coords.insert(coords.end(), {0, i / 10000, i / 100 % 100, i % 100});
  const Grid grid{.batch = 1, .x = 110, .y = 100, .z = 100};
  const OnDevice<std::int32_t> on_device(backend, coords);
  const auto map = build_map(*backend, on_device.data(), rows, grid, {});
  const HostLayout host = read_layout(
      *backend, *map, layout_of(*backend, *map, {.kind = LayoutKind::masked, .row_tile = 128, .rows = rows}));
  check_layout(host, true);
  bool in_block = true;
  for (std::int64_t slot = 0; slot < rows; ++slot) {
    in_block = in_block && host.order[static_cast<std::size_t>(slot)] / 65536 == slot / 65536;
  }
  CHECK(in_block);
}

TEST_CASE("a layout is built once and can be used on another stream than the one it was built on") {
  const auto backend = open_gpu();
  const OwnStream map_stream(*backend);
  const OwnStream layout_stream(*backend);
  const OwnStream reader_stream(*backend);
  const std::int64_t rows = 20'000;
  const OnDevice<std::int32_t> coords(backend, random_coords(box, rows, 25));
  const auto map = build_map(*backend, coords.data(), rows, box.grid, {.checked = false}, map_stream);
  const detail::LayoutKey key{.kind = LayoutKind::masked, .row_tile = 64, .rows = rows};
  const detail::TileLayout* built = &layout_of(*backend, *map, key, layout_stream);
  const detail::TileLayout* again = &layout_of(*backend, *map, key, reader_stream);
  CHECK(built == again);
  std::vector<std::int32_t> step_rows(static_cast<std::size_t>(built->steps * 64));
  backend->copy_to_host(step_rows.data(), built->step_rows.data(), step_rows.size() * 4, reader_stream);
  HostLayout host = read_layout(*backend, *map, *built);
  step_rows.resize(host.step_rows.size());  // behind the steps that there are, there is room
  CHECK(host.step_rows == step_rows);
  check_layout(host, true);
}
