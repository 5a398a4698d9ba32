#include "cuda/cuda_map.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/fail.hpp"
#include "cuda/driver.hpp"

namespace flexgemm::detail {

namespace {

constexpr unsigned long long no_offender = std::numeric_limits<unsigned long long>::max();

/// Mirror images can be written instead of looked up: for odd extents, and unique coordinates, which checked
/// mode guarantees for every map that it lets live.
bool use_symmetry(const SubmanifoldOptions& options) {
  return options.checked && is_mirrored(options.kernel);
}

}  // namespace

CudaMap::CudaMap(std::shared_ptr<const CudaDevice> gpu, const MapArguments& arguments, Stream stream)
    : MapData(Device::cuda(gpu->ordinal()), arguments.rows, arguments.options, gpu->context()),
      device_(std::move(gpu)),
      checked_(arguments.options.checked),
      ready_(std::make_unique<Event>()) {
  if (rows == 0) {
    pairs_ = 0;
    ready_->mark_reached();
    return;
  }
  build(arguments, stream);
}

CudaMap::CudaMap(std::shared_ptr<const CudaDevice> gpu, std::int64_t capacity,
                 const SubmanifoldOptions& options, Stream stream)
    : MapData(Device::cuda(gpu->ordinal()), capacity, options, gpu->context()),
      device_(std::move(gpu)),
      checked_(options.checked),
      ready_(std::make_unique<Event>()) {
  allocate(stream);
  ready_->mark_reached();
  indices_.free_on(device_->release_stream());
}

BuildCounters* CudaMap::allocate(Stream stream) {
  const std::int64_t entries = rows * volume();
  const std::int64_t even_entries = entries + entries % 2;  // the counters are aligned to 8 bytes
  constexpr auto counter_entries = static_cast<std::int64_t>(sizeof(BuildCounters) / sizeof(std::int32_t));
  indices_ = DeviceArray<std::int32_t>(device_->memory(), even_entries + counter_entries, stream);
  auto* counters = reinterpret_cast<BuildCounters*>(indices_.data() + even_entries);
  counters_ = counters;
  return counters;
}

void CudaMap::allocate_places(const Grid& grid, Stream stream) {
  place_shape_ = place_shape(grid);
  if (volume() > 32 || rows > most_resident_rows || !place_shape_.fits()) return;
  own_places_ = DeviceArray<std::uint64_t>(device_->memory(), rows, stream);
  places_ = own_places_.data();
}

void CudaMap::build(const MapArguments& arguments, Stream stream) {
  DeviceMemory& memory = device_->memory();
  BuildCounters* counters = allocate(stream);
  allocate_places(arguments.grid, stream);
  const TableShape shape = table_shape(rows, arguments.grid);
  const DeviceArray<std::byte> table(memory, static_cast<std::int64_t>(shape.bytes), stream);
  const MapBuild build{.coords = arguments.coords,
                       .rows = rows,
                       .grid = arguments.grid,
                       .kernel = kernel,
                       .dilation = dilation,
                       .table_shape = shape,
                       .table = table.data(),
                       .indices = indices_.data(),
                       .counters = counters,
                       .places = own_places_.data(),
                       .place_shape = place_shape_};
  const bool symmetric = use_symmetry(arguments.options);
  insert_coordinates(build, symmetric, stream.handle());
  find_neighbors(build, symmetric, stream.handle());
  ready_->record(stream.handle());
  if (arguments.options.checked) check(arguments, stream);
  indices_.free_on(device_->release_stream());
  own_places_.free_on(device_->release_stream());
}

void CudaMap::check(const MapArguments& arguments, Stream stream) {
  BuildCounters counters{};
  device_->read_back(&counters, counters_, sizeof(counters), stream.handle());
  ready_->mark_reached();
  if (counters.offender == no_offender) {
    pairs_ = static_cast<std::int64_t>(counters.pairs);
    return;
  }
  const auto row = static_cast<std::int64_t>(counters.offender / 2);
  std::array<std::int32_t, 4> at{};
  device_->read_back(at.data(), arguments.coords + row * 4, sizeof(at), stream.handle());
  const Grid& grid = arguments.grid;
  const std::string place =
      fmt::format("row {} of coords is (batch {}, x {}, y {}, z {})", row, at[0], at[1], at[2], at[3]);
  if (counters.offender % 2 == 0) {
    fail(ErrorCode::invalid_coordinate,
         "{}, which lies outside the grid of batch {}, {}x{}x{}; drop such rows or enlarge the grid", place,
         grid.batch, grid.x, grid.y, grid.z);
  }
  fail(ErrorCode::invalid_coordinate,
       "{}, which a lower row of coords holds already (grid: batch {}, {}x{}x{}); coordinates must be unique",
       place, grid.batch, grid.x, grid.y, grid.z);
}

CudaMap::~CudaMap() {
  const ContextScope scope(*device_);
  const CUstream release = device_->release_stream();
  if (rows != 0) ready_->wait_quietly(release);
  for (const auto& [groups, order] : orders_) order->ready.wait_quietly(release);
  for (const auto& [key, layout] : layouts_) layout->ready.wait_quietly(release);
  for (const auto& [key, list] : pair_lists_) list->ready.wait_quietly(release);
  for (const auto& [key, table] : share_tables_) table->ready.wait_quietly(release);
  if (place_order_ != nullptr) place_order_->ready.wait_quietly(release);
  for (const auto& [key, layout] : resident_layouts_) layout->ready.wait_quietly(release);
  for (const Use& use : uses_) use.event->wait_quietly(release);
  // Everything that holds device memory or an event dies here, while the context is current.
  inverse_.reset();
  uses_.clear();
  resident_layouts_.clear();
  place_order_.reset();
  share_tables_.clear();
  pair_lists_.clear();
  layouts_.clear();
  orders_.clear();
  ready_.reset();
  own_places_.reset();
  indices_.reset();
}

std::int64_t CudaMap::pairs() const {
  const std::lock_guard lock(mutex_);
  if (!pairs_) {
    const ContextScope scope(*device_);
    unsigned long long pairs = 0;
    const CUstream stream = device_->release_stream();
    ready_->wait(stream);
    device_->read_back(&pairs, &counters_->pairs, sizeof(pairs), stream);
    pairs_ = static_cast<std::int64_t>(pairs);
  }
  return *pairs_;
}

std::shared_ptr<const RowOrder> CudaMap::row_order(const LayoutKey& key, const LayoutSource& source,
                                                   Stream stream) const {
  if (key.kind == LayoutKind::identity) return nullptr;
  const bool natural = key.kind == LayoutKind::dense;
  const int groups = natural ? 0 : key.groups;
  auto found = orders_.find(groups);
  if (found == orders_.end()) {
    auto order = groups == 0 ? build_natural_order(source, stream) : build_gray_order(source, groups, stream);
    found = orders_.emplace(groups, std::move(order)).first;
  }
  found->second->ready.wait(stream.handle());
  return found->second;
}

const TileLayout& CudaMap::layout(const LayoutKey& key, Stream stream) const {
  const std::lock_guard lock(mutex_);
  auto found = layouts_.find(key);
  if (found == layouts_.end()) {
    ready_->wait(stream.handle());
    const LayoutSource source{
        .device = *device_, .indices = indices_.data(), .rows = rows, .volume = volume(), .kernel = kernel};
    try {
      auto layout = build_layout(source, key, row_order(key, source, stream), stream);
      found = layouts_.emplace(key, std::move(layout)).first;
    } catch (...) {  // nobody would remember that work on the stream still reads the map
      driver().cuStreamSynchronize(stream.handle());
      throw;
    }
  }
  const TileLayout& layout = *found->second;
  if (layout.row_order != nullptr) layout.row_order->ready.wait(stream.handle());
  layout.ready.wait(stream.handle());
  return layout;
}

void CudaMap::record_use(Stream stream) const {
  CUstreamCaptureStatus capture = CU_STREAM_CAPTURE_STATUS_NONE;
  FLEXGEMM_DRIVER(cuStreamIsCapturing, stream.handle(), &capture);
  if (capture != CU_STREAM_CAPTURE_STATUS_NONE) return;
  const std::lock_guard lock(mutex_);
  auto use =
      std::find_if(uses_.begin(), uses_.end(), [&](const Use& one) { return one.stream == stream.handle(); });
  if (use == uses_.end()) {
    uses_.push_back({stream.handle(), std::make_unique<Event>()});
    use = uses_.end() - 1;
  }
  use->event->record(stream.handle());
}

}  // namespace flexgemm::detail
