#include "cuda/cuda_frame_map.hpp"

#include <cstddef>
#include <utility>

#include "core/fail.hpp"
#include "cuda/driver.hpp"
#include "cuda/launch.hpp"
#include "cuda/tile_steps.hpp"

namespace flexgemm::detail {

namespace {

SubmanifoldOptions map_options(const FrameMapOptions& options) {
  return {.kernel = options.kernel, .dilation = options.dilation, .checked = false};
}

/// A guess where nobody said: surfaces, as scanners see them, have a third of their neighbors.
std::int64_t guess_pairs(const FrameMapArguments& arguments) {
  const Extent3& kernel = arguments.options.kernel;
  const double volume = static_cast<double>(kernel.x) * kernel.y * kernel.z;
  const double each =
      arguments.options.pairs_per_row > 0 ? arguments.options.pairs_per_row : 1 + (volume - 1) / 3;
  return static_cast<std::int64_t>(each * static_cast<double>(arguments.capacity));
}

/// Memory that is freed when nobody may use it any more, whatever became of the stream.
template <class T>
DeviceArray<T> taken(const CudaDevice& gpu, std::int64_t count, Stream stream) {
  DeviceArray<T> array(gpu.memory(), count, stream);
  array.free_on(gpu.release_stream());
  return array;
}

void clear(void* data, int value, std::size_t bytes, Stream stream) {
  require_success(cudaMemsetAsync(data, value, bytes, stream.handle()), "clearing the memory of a frame map");
}

}  // namespace

struct CudaFrameRows::Order {
  int groups = 1;
  LayoutKind kind = LayoutKind::masked;
  MaskOffsets offsets;
  RowKey key;
  DeviceArray<std::uint32_t> masks;
  DeviceArray<std::uint32_t> keys;
  DeviceArray<std::int32_t> order[2];
  DeviceArray<std::byte> scratch;
  const std::int32_t* sorted = nullptr;  // the one of both that holds the result
};

struct CudaFrameRows::Layout {
  TileLayout tiles;
  bool group_major = false;
  LayoutKind kind = LayoutKind::masked;
  Order* order = nullptr;
  bool heavy_first = false;
  DeviceArray<std::uint32_t> tile_masks, keys, sorted_keys;
  DeviceArray<std::int64_t> steps;
  DeviceArray<std::int32_t> tiles_in_order;
  DeviceArray<std::byte> scan_scratch, sort_scratch;
};

CudaFrameRows::CudaFrameRows(std::shared_ptr<const CudaDevice> opened, const FrameMapArguments& arguments,
                             Stream stream)
    : CudaMap(std::move(opened), arguments.capacity, map_options(arguments.options), stream),
      arguments_(arguments),
      expected_pairs_(guess_pairs(arguments)),
      table_shape_(detail::table_shape(arguments.capacity, arguments.grid)),
      symmetric_(arguments.options.unique && is_mirrored(arguments.options.kernel)),
      table_(gpu().memory(), static_cast<std::int64_t>(table_shape_.bytes), stream),
      state_(gpu().memory(), 1, stream) {
  // Before its first frame the map has no rows.
  clear(state_.data(), 0, sizeof(FrameState), stream);
  clear(counters(), 0, sizeof(BuildCounters), stream);
  clear(writable_indices(), 0xff, static_cast<std::size_t>(rows * volume()) * sizeof(std::int32_t), stream);
  FLEXGEMM_DRIVER(cuStreamSynchronize, stream.handle());
  table_.free_on(gpu().release_stream());
  state_.free_on(gpu().release_stream());
}

CudaFrameRows::~CudaFrameRows() {
  const ContextScope scope(gpu());
  layouts_.clear();
  orders_.clear();
  table_.reset();
  state_.reset();
}

LayoutSource CudaFrameRows::source() const {
  return {.device = gpu(), .indices = indices(), .rows = rows, .volume = volume(), .kernel = kernel};
}

void CudaFrameRows::build(const std::int32_t* coords, const std::int32_t* count, Stream stream) const {
  const ContextScope scope(gpu());
  const std::lock_guard lock(mutex_);
  start_frame(count, rows, state_.data(), stream.handle());
  const MapBuild build{.coords = coords,
                       .rows = rows,
                       .grid = arguments_.grid,
                       .kernel = kernel,
                       .dilation = dilation,
                       .table_shape = table_shape_,
                       .table = table_.data(),
                       .indices = writable_indices(),
                       .counters = counters(),
                       .live_rows = live_rows()};
  insert_coordinates(build, symmetric_, stream.handle());
  find_neighbors(build, symmetric_, stream.handle());
  for (const auto& [kind, order] : orders_) fill(*order, stream);
  for (const auto& [key, layout] : layouts_) fill(*layout, stream);
}

FrameStatus CudaFrameRows::status(Stream stream) const {
  const ContextScope scope(gpu());
  FrameState state{};
  BuildCounters counts{};
  gpu().read_back(&state, state_.data(), sizeof(state), stream.handle());
  gpu().read_back(&counts, counters(), sizeof(counts), stream.handle());
  return {.rows = state.rows,
          .pairs = static_cast<std::int64_t>(counts.pairs),
          .wanted = state.wanted,
          .overflow = state.overflow != 0};
}

void CudaFrameRows::reset_status(Stream stream) const {
  const ContextScope scope(gpu());
  constexpr std::size_t behind_rows = offsetof(FrameState, overflow);
  clear(reinterpret_cast<std::byte*>(state_.data()) + behind_rows, 0, sizeof(FrameState) - behind_rows,
        stream);
}

CudaFrameRows::Order& CudaFrameRows::order(LayoutKind kind, int groups, Stream stream) const {
  std::unique_ptr<Order>& slot = orders_[{kind, groups}];
  if (slot != nullptr) return *slot;
  auto order = std::make_unique<Order>();
  order->kind = kind;
  order->groups = groups;
  const std::int64_t items = rows * groups;
  order->order[0] = taken<std::int32_t>(gpu(), items + order_padding, stream);
  order->sorted = order->order[0].data();
  if (kind == LayoutKind::masked) {
    order->offsets = mask_offsets(kernel);
    order->key = row_key(order->offsets, rows, volume(), groups);
    order->order[1] = taken<std::int32_t>(gpu(), items + order_padding, stream);
    order->masks = taken<std::uint32_t>(gpu(), rows, stream);
    order->keys = taken<std::uint32_t>(gpu(), items * 2, stream);
    order->scratch = taken<std::byte>(
        gpu(), static_cast<std::int64_t>(row_sort_scratch(rows, groups, order->key)), stream);
  }
  fill(*order, stream);
  slot = std::move(order);
  return *slot;
}

void CudaFrameRows::fill(Order& order, Stream stream) const {
  if (order.kind == LayoutKind::dense) {
    write_natural_order(rows, live_rows(), order.order[0].data(), stream.handle());
    return;
  }
  // How many passes the sort makes, and so where its result is, depends on the capacity alone.
  const int sorted = sort_rows({.indices = indices(),
                                .rows = rows,
                                .volume = volume(),
                                .groups = order.groups,
                                .offsets = order.offsets,
                                .key = order.key,
                                .masks = order.masks.data(),
                                .keys = {order.keys.data(), order.keys.data() + rows * order.groups},
                                .order = {order.order[0].data(), order.order[1].data()},
                                .scratch = order.scratch.data(),
                                .scratch_bytes = order.scratch.bytes(),
                                .live_rows = live_rows()},
                               stream.handle());
  order.sorted = order.order[sorted].data();
}

const TileLayout& CudaFrameRows::layout(const LayoutKey& key, Stream stream) const {
  if (key.kind == LayoutKind::identity) return CudaMap::layout(key, stream);  // the same for every frame
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Layout>& slot = layouts_[key];
  if (slot != nullptr) return slot->tiles;
  auto layout = std::make_unique<Layout>();
  layout->kind = key.kind;
  layout->group_major = key.group_major;
  layout->order = &order(key.kind, key.kind == LayoutKind::dense ? 1 : key.groups, stream);
  TileLayout& tiles = layout->tiles;
  tiles.row_tile = key.row_tile;
  tiles.groups = key.groups;
  tiles.tiles_per_group = ceil_div(rows, key.row_tile);
  tiles.tiles = tiles.tiles_per_group * key.groups;
  tiles.steps = tiles.tiles_per_group * volume();  // the most that there can be
  tiles.order = layout->order->sorted;
  if (key.groups > 1) {
    tiles.grouped_order = taken<std::int32_t>(gpu(), tiles.tiles * key.row_tile, stream);
    tiles.order = tiles.grouped_order.data();
  }
  tiles.tile_begin = taken<std::int64_t>(gpu(), tiles.tiles + 1, stream);
  tiles.step_offset = taken<std::int32_t>(gpu(), tiles.steps, stream);
  tiles.step_rows = taken<std::int32_t>(gpu(), tiles.steps * key.row_tile, stream);
  if (key.kind == LayoutKind::masked || key.groups > 1) {
    layout->tile_masks = taken<std::uint32_t>(gpu(), tiles.tiles * mask_words(volume()), stream);
    layout->steps = taken<std::int64_t>(gpu(), tiles.tiles + 1, stream);
    layout->scan_scratch =
        taken<std::byte>(gpu(), static_cast<std::int64_t>(detail::scan_scratch(tiles.tiles)), stream);
    layout->heavy_first = heavy_tiles_first(source()) || key.groups > 1;
    if (layout->heavy_first) {
      layout->keys = taken<std::uint32_t>(gpu(), tiles.tiles, stream);
      layout->sorted_keys = taken<std::uint32_t>(gpu(), tiles.tiles, stream);
      layout->tiles_in_order = taken<std::int32_t>(gpu(), tiles.tiles, stream);
      tiles.tile_order = taken<std::int32_t>(gpu(), tiles.tiles, stream);
      layout->sort_scratch = taken<std::byte>(
          gpu(), static_cast<std::int64_t>(tile_sort_scratch(tiles.tiles, volume(), key.groups)), stream);
    }
  }
  fill(*layout, stream);
  slot = std::move(layout);
  return slot->tiles;
}

void CudaFrameRows::fill(Layout& layout, Stream stream) const {
  const TileLayout& tiles = layout.tiles;
  const bool grouped = tiles.groups > 1;
  if (grouped) {
    pad_groups(layout.order->sorted, rows, tiles.groups, layout.kind == LayoutKind::dense ? 0 : rows,
               tiles.tiles_per_group * tiles.row_tile, tiles.grouped_order.data(), stream.handle());
  }
  if (layout.kind == LayoutKind::dense && !grouped) {
    write_even_tiles(tiles.tiles, volume(), live_rows(), tiles.row_tile, tiles.tile_begin.data(),
                     stream.handle());
  } else {
    count_steps({.indices = indices(),
                 .order = tiles.order,
                 .masks = volume() > 32 ? nullptr : layout.order->masks.data(),
                 .volume = volume(),
                 .row_tile = tiles.row_tile,
                 .tiles = tiles.tiles,
                 .tiles_per_group = tiles.tiles_per_group,
                 .groups = group_masks(volume(), tiles.groups),
                 .every_offset = layout.kind == LayoutKind::dense,
                 .group_major = layout.group_major,
                 .tile_masks = layout.tile_masks.data(),
                 .steps = layout.steps.data(),
                 .keys = layout.keys.data(),
                 .tiles_in_order = layout.tiles_in_order.data()},
                stream.handle());
    scan_steps(layout.steps.data(), tiles.tiles, tiles.tile_begin.data(), layout.scan_scratch.data(),
               layout.scan_scratch.bytes(), stream.handle());
    if (layout.heavy_first) {
      sort_tiles(layout.keys.data(), layout.sorted_keys.data(), layout.tiles_in_order.data(),
                 tiles.tile_order.data(), tiles.tiles, volume(), tiles.groups, layout.sort_scratch.data(),
                 layout.sort_scratch.bytes(), stream.handle());
    }
  }
  fill_steps({.indices = indices(),
              .order = tiles.order,
              .tile_masks = layout.kind == LayoutKind::dense && !grouped ? nullptr : layout.tile_masks.data(),
              .tile_begin = tiles.tile_begin.data(),
              .volume = volume(),
              .row_tile = tiles.row_tile,
              .tiles = tiles.tiles,
              .step_offset = tiles.step_offset.data(),
              .step_rows = tiles.step_rows.data()},
             stream.handle());
}

namespace {

class CudaFrameMap final : public FrameMapData {
 public:
  explicit CudaFrameMap(std::shared_ptr<const CudaFrameRows> rows) : rows_(std::move(rows)) {}
  std::shared_ptr<const MapData> map() const override { return rows_; }
  void build(const std::int32_t* coords, const std::int32_t* count, Stream stream) const override {
    rows_->build(coords, count, stream);
  }
  FrameStatus status(Stream stream) const override { return rows_->status(stream); }
  void reset_status(Stream stream) const override { rows_->reset_status(stream); }

 private:
  std::shared_ptr<const CudaFrameRows> rows_;
};

}  // namespace

std::shared_ptr<const FrameMapData> make_cuda_frame_map(std::shared_ptr<const CudaDevice> gpu,
                                                        const FrameMapArguments& arguments, Stream stream) {
  return std::make_shared<const CudaFrameMap>(
      std::make_shared<const CudaFrameRows>(std::move(gpu), arguments, stream));
}

}  // namespace flexgemm::detail
