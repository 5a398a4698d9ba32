#include "cuda/tile_layout.hpp"

#include <algorithm>
#include <utility>

#include "codegen/candidates.hpp"
#include "core/fail.hpp"
#include "cuda/launch.hpp"
#include "cuda/tile_steps.hpp"

namespace flexgemm::detail {

namespace {

/// Heavy tiles go first while the device runs only a few rounds of tiles, where one late heavy tile is felt;
/// with more rows, their natural order wins by locality (docs/performance.md: 1.2x at 125 k rows on 132
/// multiprocessors, 1.03x at 252 k).
constexpr std::int64_t heavy_first_rows_per_multiprocessor = 2560;

/// A masked layout whose steps cannot take more than this has room for all that there can be, and no wait; a
/// larger one waits for the stream once, to learn how many there are.
constexpr std::int64_t most_unread_step_bytes = std::int64_t{64} << 20;

/// Records that the layout is complete and hands its blocks to the stream that outlives the user's.
template <class Built>
void finish(Built& built, const CudaDevice& device, Stream stream) {
  built.ready.record(stream.handle());
  if constexpr (requires { built.masks; }) {
    built.rows.free_on(device.release_stream());
    built.masks.free_on(device.release_stream());
  } else {
    built.tile_begin.free_on(device.release_stream());
    built.step_offset.free_on(device.release_stream());
    built.step_rows.free_on(device.release_stream());
    built.tile_order.free_on(device.release_stream());
    built.grouped_order.free_on(device.release_stream());
  }
}

void allocate_steps(TileLayout& layout, DeviceMemory& memory, Stream stream) {
  layout.step_offset = DeviceArray<std::int32_t>(memory, layout.steps, stream);
  layout.step_rows = DeviceArray<std::int32_t>(memory, layout.steps * layout.row_tile, stream);
}

void fill(const LayoutSource& source, const TileLayout& layout, const std::uint32_t* tile_masks,
          Stream stream) {
  fill_steps({.indices = source.indices,
              .order = layout.order,
              .tile_masks = tile_masks,
              .tile_begin = layout.tile_begin.data(),
              .volume = source.volume,
              .row_tile = layout.row_tile,
              .tiles = layout.tiles,
              .step_offset = layout.step_offset.data(),
              .step_rows = layout.step_rows.data()},
             stream.handle());
}

void build_dense(const LayoutSource& source, TileLayout& layout, Stream stream) {
  layout.order = layout.row_order->rows.data();
  layout.steps = layout.tiles * source.volume;
  allocate_steps(layout, source.device.memory(), stream);
  write_even_tiles(layout.tiles, source.volume, nullptr, layout.row_tile, layout.tile_begin.data(),
                   stream.handle());
  fill(source, layout, nullptr, stream);
}

void build_identity(const LayoutSource& source, const LayoutKey& key, TileLayout& layout, Stream stream) {
  layout.steps = layout.tiles;
  allocate_steps(layout, source.device.memory(), stream);
  layout.order = layout.step_rows.data();
  write_identity(key.rows, layout.row_tile, layout.tiles, layout.step_rows.data(), layout.step_offset.data(),
                 layout.tile_begin.data(), stream.handle());
}

void sort_heavy_first(const LayoutSource& source, TileLayout& layout, const DeviceArray<std::uint32_t>& keys,
                      const DeviceArray<std::int32_t>& tiles_in_order, Stream stream) {
  DeviceMemory& memory = source.device.memory();
  layout.tile_order = DeviceArray<std::int32_t>(memory, layout.tiles, stream);
  const DeviceArray<std::uint32_t> sorted_keys(memory, layout.tiles, stream);
  const int groups = layout.groups;
  const std::size_t bytes = tile_sort_scratch(layout.tiles, source.volume, groups);
  const DeviceArray<std::byte> scratch(memory, static_cast<std::int64_t>(bytes), stream);
  sort_tiles(keys.data(), sorted_keys.data(), tiles_in_order.data(), layout.tile_order.data(), layout.tiles,
             source.volume, groups, scratch.data(), bytes, stream.handle());
}

/// The order of each group's rows, each group from a whole tile on.
void spread_groups(const LayoutSource& source, const LayoutKey& key, TileLayout& layout, Stream stream) {
  const std::int64_t slots = layout.tiles_per_group * layout.row_tile;
  layout.grouped_order = DeviceArray<std::int32_t>(source.device.memory(), slots * layout.groups, stream);
  pad_groups(layout.row_order->rows.data(), source.rows, layout.groups,
             key.kind == LayoutKind::dense ? 0 : source.rows, slots, layout.grouped_order.data(),
             stream.handle());
  layout.order = layout.grouped_order.data();
}

/// Tiles that visit what their rows have; with groups also dense ones, whose tiles visit all of their group.
void build_masked(const LayoutSource& source, const LayoutKey& key, TileLayout& layout, Stream stream) {
  DeviceMemory& memory = source.device.memory();
  if (layout.groups > 1) {
    spread_groups(source, key, layout, stream);
  } else {
    layout.order = layout.row_order->rows.data();
  }
  const DeviceArray<std::uint32_t> tile_masks(memory, layout.tiles * mask_words(source.volume), stream);
  const DeviceArray<std::int64_t> steps(memory, layout.tiles + 1, stream);
  const std::int64_t sorted_tiles = heavy_tiles_first(source) || layout.groups > 1 ? layout.tiles : 0;
  const DeviceArray<std::uint32_t> keys(memory, sorted_tiles, stream);
  const DeviceArray<std::int32_t> tiles_in_order(memory, sorted_tiles, stream);
  count_steps({.indices = source.indices,
               .order = layout.order,
               .masks = layout.row_order->masks.data(),
               .volume = source.volume,
               .row_tile = layout.row_tile,
               .tiles = layout.tiles,
               .tiles_per_group = layout.tiles_per_group,
               .groups = group_masks(source.volume, layout.groups),
               .every_offset = key.kind == LayoutKind::dense,
               .group_major = key.group_major,
               .tile_masks = tile_masks.data(),
               .steps = steps.data(),
               .keys = keys.data(),
               .tiles_in_order = tiles_in_order.data()},
              stream.handle());
  const std::size_t scan_bytes = scan_scratch(layout.tiles);
  const DeviceArray<std::byte> scratch(memory, static_cast<std::int64_t>(scan_bytes), stream);
  scan_steps(steps.data(), layout.tiles, layout.tile_begin.data(), scratch.data(), scan_bytes,
             stream.handle());
  if (sorted_tiles != 0) sort_heavy_first(source, layout, keys, tiles_in_order, stream);
  layout.steps = layout.tiles_per_group * source.volume;
  const std::int64_t most_bytes = layout.steps * (layout.row_tile + 1) * std::int64_t{sizeof(std::int32_t)};
  if (most_bytes > most_unread_step_bytes) {
    source.device.read_back(&layout.steps, layout.tile_begin.data() + layout.tiles, sizeof(layout.steps),
                            stream.handle());
  }
  allocate_steps(layout, memory, stream);
  fill(source, layout, tile_masks.data(), stream);
}

}  // namespace

bool heavy_tiles_first(const LayoutSource& source) {
  return source.rows < heavy_first_rows_per_multiprocessor * source.device.properties().multiprocessors;
}

std::shared_ptr<const RowOrder> build_natural_order(const LayoutSource& source, Stream stream) {
  auto order = std::make_shared<RowOrder>();
  order->rows = DeviceArray<std::int32_t>(source.device.memory(), source.rows + order_padding, stream);
  write_natural_order(source.rows, nullptr, order->rows.data(), stream.handle());
  finish(*order, source.device, stream);
  return order;
}

std::shared_ptr<const RowOrder> build_gray_order(const LayoutSource& source, int groups, Stream stream) {
  DeviceMemory& memory = source.device.memory();
  auto order = std::make_shared<RowOrder>();
  const MaskOffsets offsets = mask_offsets(source.kernel);
  const RowKey key = row_key(offsets, source.rows, source.volume, groups);
  order->masks = DeviceArray<std::uint32_t>(memory, source.rows, stream);
  const std::int64_t items = source.rows * groups;
  const DeviceArray<std::uint32_t> keys(memory, items * 2, stream);
  DeviceArray<std::int32_t> rows[2];
  for (auto& array : rows) array = DeviceArray<std::int32_t>(memory, items + order_padding, stream);
  const std::size_t bytes = row_sort_scratch(source.rows, groups, key);
  const DeviceArray<std::byte> scratch(memory, static_cast<std::int64_t>(bytes), stream);
  const int sorted = sort_rows({.indices = source.indices,
                                .rows = source.rows,
                                .volume = source.volume,
                                .groups = groups,
                                .offsets = offsets,
                                .key = key,
                                .masks = order->masks.data(),
                                .keys = {keys.data(), keys.data() + items},
                                .order = {rows[0].data(), rows[1].data()},
                                .scratch = scratch.data(),
                                .scratch_bytes = bytes},
                               stream.handle());
  order->rows = std::move(rows[sorted]);
  if (source.volume > 32) order->masks.reset();  // they lack offsets: tiles read the map itself
  finish(*order, source.device, stream);
  return order;
}

std::shared_ptr<const TileLayout> build_layout(const LayoutSource& source, const LayoutKey& key,
                                               std::shared_ptr<const RowOrder> order, Stream stream) {
  if (key.row_tile < 1 || key.row_tile > max_row_tile) {
    fail(ErrorCode::internal, "a layout for row tiles of {} rows was asked for; 1 to {} are served",
         key.row_tile, max_row_tile);
  }
  auto layout = std::make_shared<TileLayout>();
  layout->row_tile = key.row_tile;
  if (key.groups < 1 || key.groups > codegen::most_groups(source.volume) ||
      (key.groups > 1 && key.kind == LayoutKind::identity)) {
    fail(ErrorCode::internal, "a layout for {} groups of {} offsets was asked for; 1 to {} are served",
         key.groups, source.volume, codegen::most_groups(source.volume));
  }
  layout->groups = key.groups;
  layout->tiles_per_group = ceil_div(key.rows, key.row_tile);
  layout->tiles = layout->tiles_per_group * key.groups;
  layout->row_order = std::move(order);
  layout->tile_begin = DeviceArray<std::int64_t>(source.device.memory(), layout->tiles + 1, stream);
  switch (key.kind) {
    case LayoutKind::dense:
      if (key.groups > 1) {
        build_masked(source, key, *layout, stream);
      } else {
        build_dense(source, *layout, stream);
      }
      break;
    case LayoutKind::masked:
      build_masked(source, key, *layout, stream);
      break;
    case LayoutKind::identity:
      build_identity(source, key, *layout, stream);
      break;
  }
  finish(*layout, source.device, stream);
  return layout;
}

}  // namespace flexgemm::detail
