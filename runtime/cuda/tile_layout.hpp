#pragma once

#include <compare>
#include <cstdint>
#include <memory>

#include "cuda/cuda_device.hpp"
#include "cuda/device_array.hpp"
#include "cuda/event.hpp"
#include "cuda/row_order.hpp"

namespace flexgemm::detail {

/// What a row tile visits.
enum class LayoutKind : std::uint8_t {
  dense,     ///< natural row order, every offset
  masked,    ///< rows in Gray order, the offsets that one of the tile's rows has
  identity,  ///< the dense GEMM of explicit_gemm: row r of the operand is row r of the output
};

/// Names one layout of a map.
struct LayoutKey {
  LayoutKind kind = LayoutKind::masked;
  int row_tile = 0;
  std::int64_t rows = 0;  ///< the map's rows; for identity those of the chunk
  /// Groups of offsets (row_order.hpp), each with tiles of its own over all rows: 1 to most_groups(V), 1 for
  /// identity. Masked: in an order of the group's own.
  int groups = 1;
  bool group_major = false;  ///< with groups: tiles of a group precede those of the next in tile_order
  friend auto operator<=>(const LayoutKey&, const LayoutKey&) noexcept = default;
};

/// An order of a map's rows, shared by layouts of every row tile. Immutable once built.
struct RowOrder {
  DeviceArray<std::int32_t> rows;    // [groups * map rows + order_padding]
  DeviceArray<std::uint32_t> masks;  // [map rows] by row: Gray order of kernels of at most 32 offsets only
  Event ready;
};

/// The arrays of ImplicitGemmParameters that describe row tiles. Immutable once built.
struct TileLayout {
  int row_tile = 0;
  int groups = 1;
  std::int64_t tiles = 0;                   ///< of all groups
  std::int64_t tiles_per_group = 0;         ///< group g has [g * tiles_per_group, (g + 1) * tiles_per_group)
  std::int64_t steps = 0;                   ///< that there is room for; tile_begin[tiles] is their number
  const std::int32_t* order = nullptr;      // [tiles * row_tile], past them only padding
  DeviceArray<std::int32_t> grouped_order;  // what `order` is with groups
  DeviceArray<std::int64_t> tile_begin;     // [tiles + 1]
  DeviceArray<std::int32_t> step_offset;    // [steps]
  DeviceArray<std::int32_t> step_rows;      // [steps, row_tile]
  DeviceArray<std::int32_t> tile_order;     // [tiles], or empty for the natural order
  std::shared_ptr<const RowOrder> row_order;  // keeps `order` alive; none for identity
  Event ready;
};

/// What layouts are made from: a map on the device whose build `stream` has been made to wait for.
struct LayoutSource {
  const CudaDevice& device;
  const std::int32_t* indices;  // [rows, volume]
  std::int64_t rows;            // >= 1
  int volume;
  Extent3 kernel;
};

/// Whether a masked layout has its heavy tiles first.
bool heavy_tiles_first(const LayoutSource& source);

std::shared_ptr<const RowOrder> build_natural_order(const LayoutSource& source, Stream stream);
std::shared_ptr<const RowOrder> build_gray_order(const LayoutSource& source, int groups, Stream stream);

/// Builds a layout on `stream`. A large one of the masked kind waits for the stream, to learn its number of
/// steps; `order` must be the natural one for dense, the Gray one for masked, null for identity.
std::shared_ptr<const TileLayout> build_layout(const LayoutSource& source, const LayoutKey& key,
                                               std::shared_ptr<const RowOrder> order, Stream stream);

}  // namespace flexgemm::detail
