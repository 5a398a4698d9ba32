#include "cuda/inverse_map.hpp"

#include "core/fail.hpp"
#include "cuda/cuda_map.hpp"
#include "cuda/driver.hpp"

namespace flexgemm::detail {

CudaMap::CudaMap(const CudaMap& map, Inverse, Stream stream)
    : MapData(map.device, map.rows, {.kernel = map.kernel, .dilation = map.dilation}),
      device_(map.device_),
      checked_(map.checked_),
      indices_(device_->memory(), map.rows * map.volume(), stream),
      counters_(map.counters_),
      places_(map.places_),  // a row of both maps is the same coordinate
      place_shape_(map.place_shape_),
      ready_(std::make_unique<Event>()),
      pairs_(map.pairs_),
      repeated_rows_(map.repeated_rows_) {
  invert_map(map.indices(), rows, volume(), indices_.data(), stream.handle());
  ready_->record(stream.handle());
  indices_.free_on(device_->release_stream());
}

std::int64_t CudaMap::repeated_rows(Stream stream) const {
  if (checked_) return 0;
  if (!repeated_rows_) {
    const DeviceArray<unsigned long long> count(device_->memory(), 1, stream);
    const int centre = (kernel.x / 2 * kernel.y + kernel.y / 2) * kernel.z + kernel.z / 2;
    count_repeated_rows(indices_.data(), rows, volume(), centre, count.data(), stream.handle());
    unsigned long long repeated = 0;
    device_->read_back(&repeated, count.data(), sizeof(repeated), stream.handle());
    repeated_rows_ = static_cast<std::int64_t>(repeated);
  }
  return *repeated_rows_;
}

const CudaMap& CudaMap::inverse(Stream stream) const {
  const std::lock_guard lock(mutex_);
  if (inverse_ == nullptr) ready_->wait(stream.handle());
  if (const std::int64_t repeated = repeated_rows(stream); repeated != 0) {
    fail(
        ErrorCode::unsupported,
        "grad_input on CUDA devices needs unique coordinates: {} of the {} rows of this unchecked map repeat "
        "the coordinate of a lower row; drop them, or use the device cpu, which adds up their gradients",
        repeated, rows);
  }
  if (is_mirrored(kernel)) return *this;
  if (inverse_ == nullptr) {
    try {
      inverse_.reset(new CudaMap(*this, Inverse{}, stream));
    } catch (...) {  // nobody would remember that work on the stream still reads the map
      driver().cuStreamSynchronize(stream.handle());
      throw;
    }
  }
  inverse_->wait_ready(stream);
  return *inverse_;
}

}  // namespace flexgemm::detail
