#include "cuda/resident_layout.hpp"

#include <utility>

#include "core/fail.hpp"
#include "cuda/cuda_map.hpp"
#include "cuda/driver.hpp"
#include "cuda/launch.hpp"
#include "cuda/resident_steps.hpp"

namespace flexgemm::detail {

namespace {

void require_key(const ResidentKey& key) {
  constexpr int most_block_rows = 512;
  constexpr int most_capacity = 8190;  // positions have 13 bits
  if (key.block_rows < 64 || key.block_rows > most_block_rows || key.block_rows % 64 != 0 ||
      key.capacity < key.block_rows || key.capacity > most_capacity) {
    fail(ErrorCode::internal,
         "a resident layout of {} rows and {} inputs a block was asked for; multiples of 64 up to {} rows, "
         "and "
         "at least as many and at most {} inputs are served",
         key.block_rows, key.capacity, most_block_rows, most_capacity);
  }
}

/// Orders the rows, and counts phases and inputs into begin [blocks + 1].
void order_rows(const ResidentSource& source, const LayoutSource& map, const PlaceOrder& order,
                const ResidentLayout& layout, std::uint64_t* begin, Stream stream) {
  DeviceMemory& memory = map.device.memory();
  const DeviceArray<std::uint64_t> counts(memory, layout.blocks + 1, stream);
  order_resident_rows({.source = source,
                       .offsets = mask_offsets(map.kernel),
                       .place_order = order.rows.data(),
                       .order = layout.order.data(),
                       .masks = layout.masks.data(),
                       .counts = counts.data()},
                      stream.handle());
  const std::size_t bytes = resident_scan_scratch(layout.blocks);
  const DeviceArray<std::byte> scratch(memory, static_cast<std::int64_t>(bytes), stream);
  scan_resident_counts(counts.data(), layout.blocks, begin, scratch.data(), bytes, stream.handle());
}

/// Records that the layout is complete and hands its blocks to the stream that outlives the user's.
void finish(ResidentLayout& layout, const CudaDevice& device, Stream stream) {
  layout.ready.record(stream.handle());
  const Stream release = device.release_stream();
  layout.order.free_on(release);
  layout.masks.free_on(release);
  layout.locals.free_on(release);
  layout.phase_begin.free_on(release);
  layout.phase_offsets.free_on(release);
  layout.input_begin.free_on(release);
  layout.inputs.free_on(release);
}

}  // namespace

std::shared_ptr<const PlaceOrder> build_place_order(const ResidentLayoutSource& source, Stream stream) {
  DeviceMemory& memory = source.map.device.memory();
  const std::int64_t rows = source.map.rows;
  auto order = std::make_shared<PlaceOrder>();
  order->rows = DeviceArray<std::int32_t>(memory, rows, stream);
  const DeviceArray<std::uint64_t> sorted_places(memory, rows, stream);
  const DeviceArray<std::int32_t> natural(memory, rows + order_padding, stream);
  const std::size_t bytes = place_sort_scratch(rows, source.place_shape);
  const DeviceArray<std::byte> scratch(memory, static_cast<std::int64_t>(bytes), stream);
  sort_by_place(source.places, rows, source.place_shape, sorted_places.data(), natural.data(),
                order->rows.data(), scratch.data(), bytes, stream.handle());
  order->ready.record(stream.handle());
  order->rows.free_on(source.map.device.release_stream());
  return order;
}

std::shared_ptr<const ResidentLayout> build_resident_layout(const ResidentLayoutSource& source,
                                                            const ResidentKey& key, const PlaceOrder& order,
                                                            Stream stream) {
  require_key(key);
  const LayoutSource& map = source.map;
  DeviceMemory& memory = map.device.memory();
  auto layout = std::make_shared<ResidentLayout>();
  layout->block_rows = key.block_rows;
  layout->capacity = key.capacity;
  layout->blocks = ceil_div(map.rows, key.block_rows);
  const std::int64_t slots = layout->blocks * key.block_rows;
  layout->order = DeviceArray<std::int32_t>(memory, slots, stream);
  layout->masks = DeviceArray<std::uint32_t>(memory, slots / 16, stream);
  const ResidentSource steps{.indices = map.indices,
                             .places = source.places,
                             .rows = map.rows,
                             .blocks = layout->blocks,
                             .volume = map.volume,
                             .block_rows = key.block_rows,
                             .capacity = key.capacity};
  const DeviceArray<std::uint64_t> begin(memory, layout->blocks + 1, stream);
  order_rows(steps, map, order, *layout, begin.data(), stream);
  layout->locals = DeviceArray<std::uint16_t>(memory, slots * map.volume, stream);
  layout->phase_begin = DeviceArray<std::int32_t>(memory, layout->blocks + 1, stream);
  std::uint64_t totals = 0;
  map.device.read_back(&totals, begin.data() + layout->blocks, sizeof(totals), stream.handle());
  layout->phases = resident_phases(totals);
  layout->input_rows = resident_inputs(totals);
  layout->phase_offsets = DeviceArray<std::uint32_t>(memory, layout->phases, stream);
  layout->input_begin = DeviceArray<std::int64_t>(memory, layout->phases + 1, stream);
  layout->inputs = DeviceArray<std::uint32_t>(memory, layout->input_rows, stream);
  fill_resident_blocks({.source = steps,
                        .order = layout->order.data(),
                        .begin = begin.data(),
                        .locals = layout->locals.data(),
                        .phase_begin = layout->phase_begin.data(),
                        .phase_offsets = layout->phase_offsets.data(),
                        .input_begin = layout->input_begin.data(),
                        .inputs = layout->inputs.data()},
                       stream.handle());
  finish(*layout, map.device, stream);
  return layout;
}

const ResidentLayout& CudaMap::resident_layout(const ResidentKey& key, Stream stream) const {
  if (!serves_resident_layouts()) {
    fail(ErrorCode::internal,
         "a map of {} rows and {} offsets was asked for a resident layout, which it does "
         "not serve",
         rows, volume());
  }
  const std::lock_guard lock(mutex_);
  auto found = resident_layouts_.find(key);
  if (found == resident_layouts_.end()) {
    ready_->wait(stream.handle());
    const ResidentLayoutSource source{.map = {.device = *device_,
                                              .indices = indices_.data(),
                                              .rows = rows,
                                              .volume = volume(),
                                              .kernel = kernel},
                                      .places = places_,
                                      .place_shape = place_shape_};
    try {
      if (place_order_ == nullptr) place_order_ = build_place_order(source, stream);
      place_order_->ready.wait(stream.handle());
      found = resident_layouts_.emplace(key, build_resident_layout(source, key, *place_order_, stream)).first;
    } catch (...) {  // nobody would remember that work on the stream still reads the map
      driver().cuStreamSynchronize(stream.handle());
      throw;
    }
  }
  found->second->ready.wait(stream.handle());
  return *found->second;
}

}  // namespace flexgemm::detail
