#pragma once

#include <cstdint>
#include <memory>

#include <flexgemm/device.hpp>
#include <flexgemm/export.hpp>
#include <flexgemm/neighbor_map.hpp>
#include <flexgemm/tensor_view.hpp>

namespace flexgemm {

namespace detail {
class Backend;
class FrameMapData;
}  // namespace detail

/// What is known about the frames of a FrameMap.
struct FrameStatus {
  std::int64_t rows = 0;    ///< of the last build, at most the capacity
  std::int64_t pairs = 0;   ///< of the last build, as NeighborMap::pairs
  std::int64_t wanted = 0;  ///< the largest count of any build since the last reset
  bool overflow = false;    ///< a count was larger than the capacity: those frames lost their last rows
};

/// A neighbor map that is built anew for every frame of a stream, in memory that was taken once, for at most
/// `capacity` voxels whose number is in device memory, where the program that found them wrote it. Building
/// allocates nothing and reads nothing back, so on a GPU it may be captured in a CUDA graph together with
/// what makes the voxels and with the plans that use the map, and the graph replayed for frames of any size.
///
///   FrameMap frames = context.frame_map(capacity, grid);
///   Plan plan = conv.freeze(frames.map(), ...);            // before the first build that it shall see
///   frames.build(coords, count, stream);                   // for each frame:
///   plan.forward(feats, weight, bias, out, {}, stream);    // feats, out: [capacity, C]; rows from count on
///   are
///                                                          // not read, and unspecified in out
/// A count beyond the capacity is cut to it and noted (status), a negative one counts as 0. Coordinates are
/// as for an unchecked map (SubmanifoldOptions): a row outside the grid has no neighbors, and of equal
/// coordinates the lowest row is everyone's neighbor; nothing is ever read or written out of bounds.
///
/// map() serves forward passes only. Builds and passes follow each other in stream order or are ordered by
/// the caller, and the FrameMap and its plans must stay until that work is done, as long as graphs that
/// captured it are launched. A plan frozen later is served by later builds, but not by a graph captured
/// earlier. A handle: all copies are the same map. Calls from several threads need an order of their own.
class FLEXGEMM_API FrameMap {
 public:
  /// An empty handle; only assignment, destruction and `operator bool` are allowed on it.
  FrameMap() noexcept = default;
  explicit operator bool() const noexcept { return data_ != nullptr; }

  std::int64_t capacity() const;
  /// The map as plans see it: rows() is the capacity, indices() [capacity, V] are those of the last build.
  NeighborMap map() const;

  /// Enqueues the build of the map for the first `count` rows of `coords`, int32 [capacity, 4], where `count`
  /// is int32 [1] on the device. On the CPU it returns when done. Throws Error{invalid_argument},
  /// Error{driver}.
  void build(const ConstTensorView& coords, const ConstTensorView& count, Stream stream = {}) const;

  /// Waits for the stream and reads the status.
  FrameStatus status(Stream stream = {}) const;
  /// Forgets overflow and the largest count, in stream order.
  void reset_status(Stream stream = {}) const;

 private:
  friend class Context;
  FrameMap(std::shared_ptr<detail::Backend> backend,
           std::shared_ptr<const detail::FrameMapData> data) noexcept;
  std::shared_ptr<detail::Backend> backend_;
  std::shared_ptr<const detail::FrameMapData> data_;
};

/// How a FrameMap is made.
struct FrameMapOptions {
  Extent3 kernel{3, 3, 3};    ///< as SubmanifoldOptions
  Extent3 dilation{1, 1, 1};  ///< as SubmanifoldOptions
  /// The caller promises that no two of the first `count` coordinates are equal, as a voxelizer's are: then
  /// half of the look-ups are enough for odd extents. If they are not, the map is wrong but nothing is out of
  /// bounds.
  bool unique = true;
  /// Neighbors that a voxel is expected to have, itself included, for the choice of kernels; 0: a guess.
  double pairs_per_row = 0;
};

}  // namespace flexgemm
