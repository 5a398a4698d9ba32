#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "core/backend.hpp"
#include "cuda/cuda_device.hpp"
#include "cuda/device_array.hpp"
#include "cuda/event.hpp"
#include "cuda/map_build.hpp"
#include "cuda/pair_list.hpp"
#include "cuda/place.hpp"
#include "cuda/resident_layout.hpp"
#include "cuda/tile_layout.hpp"

namespace flexgemm::detail {

/// A neighbor map on a GPU, with the row orders and tile layouts that kernels asked for so far. Thread-safe.
/// The device's context must be current when a map is made and in calls that take a stream.
class CudaMap : public MapData {
 public:
  /// Builds the map on `stream`; in checked mode waits for it once and throws Error{invalid_coordinate}.
  CudaMap(std::shared_ptr<const CudaDevice> gpu, const MapArguments& arguments, Stream stream);
  ~CudaMap() override;

  std::int64_t pairs() const override;
  const std::int32_t* indices() const override { return indices_.data(); }

  /// The layout with this key, built on `stream` if it is the first time; later work on `stream` may use it.
  /// Needs rows >= 1. The reference lives as long as the map.
  virtual const TileLayout& layout(const LayoutKey& key, Stream stream) const;

  /// The pair list with this key, likewise: what layouts are to forward and grad_input, for grad_weight.
  const PairList& pair_list(const PairKey& key, Stream stream) const;

  /// The pairs of the list with this key in `shares` shares, or fewer if there are not as many runs,
  /// likewise.
  const ShareTable& share_table(const PairKey& key, int shares, Stream stream) const;

  /// Whether the map knows the places of its rows, which resident layouts are made from: at most 32 offsets,
  /// 1 to 2^29 - 1 rows, all of them there, and a grid whose places fit into 64 bits.
  bool serves_resident_layouts() const noexcept { return places_ != nullptr; }

  /// The resident layout with this key, built on `stream` if it is the first time, which waits for the stream
  /// once; later work on `stream` may use it. Needs serves_resident_layouts(). The reference lives as long as
  /// the map. Throws Error{internal} for a key that no layout has.
  const ResidentLayout& resident_layout(const ResidentKey& key, Stream stream) const;

  /// The map that grad_input gathers by: inverse[m, v] = n where indices[n, v] = m, built on `stream` if it
  /// is the first time. For odd extents it is this map itself with its offsets the other way round:
  /// indices[n, v] = m exactly if indices[m, V - 1 - v] = n. Needs rows >= 1. Throws Error{unsupported} if
  /// coordinates are repeated, which only an unchecked map can have: then several rows n share a neighbor m
  /// at v.
  const CudaMap& inverse(Stream stream) const;

  /// Makes later work on `stream` wait until `indices()` is complete.
  virtual void wait_ready(Stream stream) const { ready_->wait(stream.handle()); }

  /// To be called after work that reads the map was enqueued on `stream`: the map's memory is not reused
  /// before that work is done, even if the map and the stream are gone by then. Does nothing in a stream that
  /// is being captured: whoever owns the graph keeps the map.
  virtual void record_use(Stream stream) const;

  /// On the device: how many of the rows there are, for maps whose rows are a capacity; null: all.
  virtual const std::int32_t* live_rows() const noexcept { return nullptr; }
  /// What kernels are chosen for: pairs(), where that is known without waiting for a frame.
  virtual std::int64_t expected_pairs() const { return pairs(); }

 protected:
  /// A map whose indices [capacity, V] and counters are memory that somebody else fills.
  CudaMap(std::shared_ptr<const CudaDevice> gpu, std::int64_t capacity, const SubmanifoldOptions& options,
          Stream stream);

  const CudaDevice& gpu() const noexcept { return *device_; }
  std::int32_t* writable_indices() const noexcept { return indices_.data(); }
  BuildCounters* counters() const noexcept { return const_cast<BuildCounters*>(counters_); }

 private:
  struct Inverse {};
  CudaMap(const CudaMap& map, Inverse, Stream stream);
  std::int64_t repeated_rows(Stream stream) const;  // needs the lock
  BuildCounters* allocate(Stream stream);
  void allocate_places(const Grid& grid, Stream stream);
  void build(const MapArguments& arguments, Stream stream);
  void check(const MapArguments& arguments, Stream stream);
  std::shared_ptr<const RowOrder> row_order(const LayoutKey& key, const LayoutSource& source,
                                            Stream stream) const;

  struct Use {
    CUstream stream;
    std::unique_ptr<Event> event;
  };

  std::shared_ptr<const CudaDevice> device_;
  bool checked_ = true;
  DeviceArray<std::int32_t> indices_;  // [rows, V], then the BuildCounters
  const BuildCounters* counters_ = nullptr;
  DeviceArray<std::uint64_t> own_places_;  // [rows], or nothing
  const std::uint64_t* places_ = nullptr;  // an inverse map's are those of the map that it belongs to
  PlaceShape place_shape_;
  std::unique_ptr<Event> ready_;

  mutable std::mutex mutex_;  // guards what follows
  mutable std::optional<std::int64_t> pairs_;
  mutable std::map<int, std::shared_ptr<const RowOrder>> orders_;  // 0: natural, else Gray by groups
  mutable std::map<LayoutKey, std::shared_ptr<const TileLayout>> layouts_;
  mutable std::map<PairKey, std::shared_ptr<const PairList>> pair_lists_;
  mutable std::map<std::pair<PairKey, int>, std::shared_ptr<const ShareTable>> share_tables_;
  mutable std::shared_ptr<const PlaceOrder> place_order_;
  mutable std::map<ResidentKey, std::shared_ptr<const ResidentLayout>> resident_layouts_;
  mutable std::unique_ptr<const CudaMap> inverse_;  // reads counters_ and places_ of this map
  mutable std::optional<std::int64_t> repeated_rows_;
  mutable std::vector<Use> uses_;
};

}  // namespace flexgemm::detail
