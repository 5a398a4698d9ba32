#include <algorithm>
#include <bit>

#include <cub/device/device_radix_sort.cuh>

#include "cuda/launch.hpp"
#include "cuda/place.hpp"
#include "cuda/row_order.hpp"

namespace flexgemm::detail {

namespace {

cudaError_t radix_sort(void* scratch, std::size_t& scratch_bytes, const std::uint64_t* places,
                       std::uint64_t* sorted_places, const std::int32_t* natural, std::int32_t* order,
                       std::int64_t rows, const PlaceShape& shape, CUstream_st* stream) {
  return cub::DeviceRadixSort::SortPairs(scratch, scratch_bytes, places, sorted_places, natural, order,
                                         static_cast<std::uint32_t>(rows), 0, shape.bits(), stream);
}

}  // namespace

PlaceShape place_shape(const Grid& grid) noexcept {
  const auto bits = [](std::int32_t extent) {
    return static_cast<int>(std::bit_width(static_cast<std::uint32_t>(extent - 1)));
  };
  return {.axis_bits = std::max(3, bits(std::max({grid.x, grid.y, grid.z}))), .batch_bits = bits(grid.batch)};
}

std::size_t place_sort_scratch(std::int64_t rows, const PlaceShape& shape) {
  std::size_t bytes = 0;
  require_success(radix_sort(nullptr, bytes, nullptr, nullptr, nullptr, nullptr, rows, shape, nullptr),
                  "sizing the sort of rows by place");
  return bytes;
}

void sort_by_place(const std::uint64_t* places, std::int64_t rows, const PlaceShape& shape,
                   std::uint64_t* sorted_places, std::int32_t* natural, std::int32_t* order, void* scratch,
                   std::size_t scratch_bytes, CUstream_st* stream) {
  write_natural_order(rows, nullptr, natural, stream);
  require_success(
      radix_sort(scratch, scratch_bytes, places, sorted_places, natural, order, rows, shape, stream),
      "sorting rows by place");
}

}  // namespace flexgemm::detail
