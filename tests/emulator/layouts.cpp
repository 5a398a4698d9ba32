#include "emulator/layouts.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "op/random.hpp"
#include "op/voxel_cloud.hpp"

namespace flexgemm::emulator {

namespace {

std::vector<std::int32_t> drawn_order(std::int64_t count, op_test::RandomSequence& random) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(i)))]);
  return order;
}

}  // namespace

Map make_map(std::int64_t rows, int volume, std::uint64_t seed) {
  Map map{.indices = {}, .rows = rows, .volume = volume};
  const int side = static_cast<int>(std::lround(std::cbrt(volume)));
  if (side * side * side == volume && side % 2 == 1) {
    const op_test::VoxelCloud cloud = op_test::voxel_cloud(rows, 1, false, seed);
    map.indices = reference::neighbor_map(cloud.coords.data(), rows, cloud.grid,
                                          {.kernel = {side, side, side}, .dilation = {1, 1, 1}});
    return map;
  }
  op_test::RandomSequence random(seed);
  map.indices.resize(static_cast<std::size_t>(rows * volume));
  for (std::int32_t& index : map.indices)
    index = random.below(3) == 0 ? static_cast<std::int32_t>(random.below(rows)) : -1;
  return map;
}

TileLayout tile_layout(const Map& map, int row_tile, std::uint64_t seed) {
  TileLayout layout;
  const auto row = [&](std::int32_t m) { return map.indices.begin() + std::int64_t{m} * map.volume; };
  std::vector<std::int32_t> sorted(static_cast<std::size_t>(map.rows));
  std::iota(sorted.begin(), sorted.end(), 0);
  std::stable_sort(sorted.begin(), sorted.end(), [&](std::int32_t first, std::int32_t second) {
    return std::lexicographical_compare(row(first), row(first) + map.volume, row(second),
                                        row(second) + map.volume,
                                        [](std::int32_t a, std::int32_t b) { return (a >= 0) < (b >= 0); });
  });
  layout.tiles = static_cast<int>((map.rows + row_tile - 1) / row_tile) + 1;
  layout.order.assign(static_cast<std::size_t>(layout.tiles) * static_cast<std::size_t>(row_tile), -1);
  std::copy(sorted.begin(), sorted.end(), layout.order.begin());
  layout.tile_begin.push_back(0);
  for (int tile = 0; tile < layout.tiles; ++tile) {
    const auto slots = layout.order.begin() + std::int64_t{tile} * row_tile;
    for (int v = 0; v < map.volume; ++v) {
      std::vector<std::int32_t> rows;
      bool any = false;
      for (auto slot = slots; slot != slots + row_tile; ++slot) {
        rows.push_back(*slot < 0 ? -1 : row(*slot)[v]);
        any |= rows.back() >= 0;
      }
      if (!any) continue;
      layout.step_offset.push_back(v);
      layout.step_rows.insert(layout.step_rows.end(), rows.begin(), rows.end());
    }
    layout.tile_begin.push_back(static_cast<std::int64_t>(layout.step_offset.size()));
  }
  op_test::RandomSequence random(seed);
  layout.tile_order = drawn_order(layout.tiles, random);
  return layout;
}

namespace {

void cut_shares(PairLayout& layout, op_test::RandomSequence& random) {
  const std::int64_t places =
      detail::PairLine::places(layout.group_begin.back() / detail::blocks_a_run, layout.groups);
  const detail::PairLine line{
      .group_begin = layout.group_begin.data(), .groups = layout.groups, .length = 1 + random.below(places)};
  layout.shares = static_cast<int>((places + line.length - 1) / line.length);
  for (int share = 0; share < layout.shares; ++share) {
    layout.share_begin.push_back(static_cast<std::int32_t>(layout.parts.size()));
    const int last = share + 1 == layout.shares ? layout.groups - 1 : line.first_group(share + 1);
    for (int group = line.first_group(share); group <= last; ++group)
      layout.parts.push_back(line.part(share, group));
  }
  layout.share_begin.push_back(static_cast<std::int32_t>(layout.parts.size()));
  const detail::PairLine whole{.group_begin = layout.group_begin.data(),
                               .groups = layout.groups,
                               .length = std::numeric_limits<std::int32_t>::max()};
  for (const std::int32_t group : drawn_order(layout.groups, random))
    layout.whole_parts.push_back(whole.part(0, group));
}

}  // namespace

PairLayout pair_layout(const Map& map, int offsets, std::uint64_t seed) {
  constexpr std::size_t block = 32;
  PairLayout layout;
  layout.groups = (map.volume + offsets - 1) / offsets;
  layout.group_begin.push_back(0);
  for (int group = 0; group < layout.groups; ++group) {
    std::vector<std::vector<std::int32_t>> lines(static_cast<std::size_t>(1 + offsets));
    for (std::int64_t m = 0; m < map.rows; ++m) {
      std::vector<std::int32_t> inputs(static_cast<std::size_t>(offsets), -1);
      bool any = false;
      for (int j = 0; j < offsets && group * offsets + j < map.volume; ++j) {
        inputs[static_cast<std::size_t>(j)] =
            map.indices[static_cast<std::size_t>(m * map.volume + group * offsets + j)];
        any |= inputs[static_cast<std::size_t>(j)] >= 0;
      }
      if (!any) continue;
      lines[0].push_back(static_cast<std::int32_t>(m));
      for (std::size_t j = 0; j < inputs.size(); ++j) lines[j + 1].push_back(inputs[j]);
    }
    const std::size_t padded = (lines[0].size() + 2 * block - 1) / (2 * block) * (2 * block);
    for (auto& line : lines) line.resize(padded, -1);
    for (std::size_t first = 0; first < padded; first += block) {
      for (const auto& line : lines)
        layout.pairs.insert(layout.pairs.end(), line.begin() + static_cast<std::ptrdiff_t>(first),
                            line.begin() + static_cast<std::ptrdiff_t>(first + block));
    }
    layout.group_begin.push_back(layout.group_begin.back() + static_cast<std::int64_t>(padded / block));
  }
  op_test::RandomSequence random(seed);
  cut_shares(layout, random);
  return layout;
}

}  // namespace flexgemm::emulator
