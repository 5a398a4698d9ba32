#pragma once

#include <cstdint>

#include "cuda/coordinate_table.cuh"
#include "cuda/place.hpp"

namespace flexgemm::detail {

/// Two zeros below each of the lowest 21 bits.
__device__ inline DeviceWord spread_bits(DeviceWord value) {
  value &= 0x1fffffull;
  value = (value | value << 32) & 0x001f00000000ffffull;
  value = (value | value << 16) & 0x001f0000ff0000ffull;
  value = (value | value << 8) & 0x100f00f00f00f00full;
  value = (value | value << 4) & 0x10c30c30c30c30c3ull;
  return (value | value << 2) & 0x1249249249249249ull;
}

/// The place of a coordinate, moved to the nearest cell of the grid if it lies outside. For shapes that fit.
__device__ inline DeviceWord place_of(const int4& coordinate, const DeviceGrid& grid,
                                      const PlaceShape& shape) {
  const auto inside = [](int value, unsigned extent) {
    return static_cast<DeviceWord>(min(max(value, 0), static_cast<int>(extent - 1)));
  };
  const DeviceWord cell = spread_bits(inside(coordinate.y, grid.x)) << 2 |
                          spread_bits(inside(coordinate.z, grid.y)) << 1 |
                          spread_bits(inside(coordinate.w, grid.z));
  // 63 bits are the most that cells take: the shift is below 64.
  return inside(coordinate.x, grid.batch) << (3 * shape.axis_bits) | cell;
}

/// The lowest three bits of the axis whose lowest bit is the place's lowest.
__device__ inline std::uint32_t lowest_of_axis(std::uint32_t place) {
  return (place & 1u) | (place >> 2 & 2u) | (place >> 4 & 4u);
}

/// (x + 2y + 5z) mod 8: linear, so that rows of different colors have neighbors of different colors.
__device__ inline std::uint32_t color_of(std::uint64_t place) {
  const auto low = static_cast<std::uint32_t>(place);
  return (lowest_of_axis(low >> 2) + 2 * lowest_of_axis(low >> 1) + 5 * lowest_of_axis(low)) & 7u;
}

}  // namespace flexgemm::detail
