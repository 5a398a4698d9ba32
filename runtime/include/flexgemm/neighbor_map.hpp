#pragma once

#include <cstdint>
#include <memory>

#include <flexgemm/device.hpp>
#include <flexgemm/export.hpp>
#include <flexgemm/tensor_view.hpp>

namespace flexgemm {

namespace detail {
class MapData;
}

/// Three extents, one an axis.
struct Extent3 {
  std::int32_t x = 1;
  std::int32_t y = 1;
  std::int32_t z = 1;
  friend constexpr bool operator==(Extent3, Extent3) noexcept = default;
};

/// Number of batches and of cells along each axis. A coordinate (b, x, y, z) lies inside when 0 <= b < batch,
/// 0 <= x < this->x and so on. The number of cells may exceed 2^32.
struct Grid {
  std::int32_t batch = 1;
  std::int32_t x = 1;
  std::int32_t y = 1;
  std::int32_t z = 1;
};

/// How the neighbors of a submanifold convolution lie.
struct SubmanifoldOptions {
  Extent3 kernel{3, 3, 3};    ///< taps along each axis, 1 to 7
  Extent3 dilation{1, 1, 1};  ///< cells between two taps, at least 1
  /// Reject coordinates outside the grid and duplicates with Error{invalid_coordinate}. Costs a pass over the
  /// coordinates (on a GPU also a wait for the stream). Unchecked, such rows are never read out of bounds: a
  /// row outside the grid has no neighbors, and of equal coordinates the lowest row is everyone's neighbor.
  bool checked = true;
};

/// For each output row n and kernel offset v the input row that contributes, or -1: `indices()` is int32 [N,
/// V]. Offset v = (kx * Ky + ky) * Kz + kz reads the cell at coordinate + (k - K / 2) * dilation, K / 2
/// rounded down. A handle to immutable data: cheap to copy, safe to use from any thread, outlives the
/// coordinates it came from.
class FLEXGEMM_API NeighborMap {
 public:
  /// An empty handle; only assignment, destruction and `operator bool` are allowed on it.
  NeighborMap() noexcept = default;
  explicit operator bool() const noexcept { return data_ != nullptr; }

  Device device() const;
  std::int64_t rows() const;  ///< N
  int volume() const;         ///< V = Kx * Ky * Kz
  Extent3 kernel() const;
  Extent3 dilation() const;
  /// Valid (input row, output row, offset) triples. Useful FLOP of one pass = 2 * pairs * Ci * Co.
  /// May wait for the stream the map was built on, the first time.
  std::int64_t pairs() const;
  /// int32 [N, V] on the map's device; valid while any copy of this handle lives.
  ConstTensorView indices() const;

 private:
  friend class Context;
  friend class Conv3d;
  friend class FrameMap;
  explicit NeighborMap(std::shared_ptr<const detail::MapData> data) noexcept;
  std::shared_ptr<const detail::MapData> data_;
};

}  // namespace flexgemm
