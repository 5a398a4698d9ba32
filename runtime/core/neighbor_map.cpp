#include <utility>

#include <flexgemm/neighbor_map.hpp>

#include "core/backend.hpp"

namespace flexgemm {

NeighborMap::NeighborMap(std::shared_ptr<const detail::MapData> data) noexcept : data_(std::move(data)) {}

Device NeighborMap::device() const { return data_->device; }
std::int64_t NeighborMap::rows() const { return data_->rows; }
int NeighborMap::volume() const { return data_->volume(); }
Extent3 NeighborMap::kernel() const { return data_->kernel; }
Extent3 NeighborMap::dilation() const { return data_->dilation; }
std::int64_t NeighborMap::pairs() const { return data_->pairs(); }

ConstTensorView NeighborMap::indices() const {
  return {data_->indices(), DType::i32, {data_->rows, data_->volume()}};
}

}  // namespace flexgemm
