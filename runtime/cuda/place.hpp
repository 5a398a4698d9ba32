#pragma once

#include <cstddef>
#include <cstdint>

#include <flexgemm/device.hpp>
#include <flexgemm/neighbor_map.hpp>

namespace flexgemm::detail {

/// The place of a row: the bits of x, y and z interleaved (Morton order, x above y above z), its batch above
/// them. Rows of like places lie close together.
struct PlaceShape {
  int axis_bits = 0;  ///< of each of x, y and z; at least 3, so that the lowest 9 bits tell a row's color
  int batch_bits = 0;
  int bits() const noexcept { return 3 * axis_bits + batch_bits; }
  /// Whether the places of this grid fit into 64 bits.
  bool fits() const noexcept { return bits() <= 64; }
};
PlaceShape place_shape(const Grid& grid) noexcept;

/// Bytes of scratch that `sort_by_place` needs.
std::size_t place_sort_scratch(std::int64_t rows, const PlaceShape& shape);
/// Writes the rows in the order of their places, of equal ones the lower row first: places [rows], order
/// [rows]. Scratch: sorted_places [rows], natural [rows + order_padding], and what `scratch` points to.
void sort_by_place(const std::uint64_t* places, std::int64_t rows, const PlaceShape& shape,
                   std::uint64_t* sorted_places, std::int32_t* natural, std::int32_t* order, void* scratch,
                   std::size_t scratch_bytes, CUstream_st* stream);

}  // namespace flexgemm::detail
