#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "core/device_memory.hpp"

namespace flexgemm::detail {

/// A typed block of device memory that frees itself in stream order. The device's context must be current
/// when it is made and when it dies, and `memory` must outlive it. `count` may be 0: then there is no memory.
template <class T>
class DeviceArray {
 public:
  DeviceArray() noexcept = default;
  DeviceArray(DeviceMemory& memory, std::int64_t count, Stream stream)
      : memory_(&memory), bytes_(static_cast<std::size_t>(count) * sizeof(T)), stream_(stream) {
    if (bytes_ != 0) data_ = static_cast<T*>(memory.allocate(bytes_, stream));
  }
  DeviceArray(DeviceArray&& other) noexcept { *this = std::move(other); }
  DeviceArray& operator=(DeviceArray&& other) noexcept {
    if (this != &other) {
      reset();
      memory_ = other.memory_;
      data_ = std::exchange(other.data_, nullptr);
      bytes_ = std::exchange(other.bytes_, 0);
      stream_ = other.stream_;
    }
    return *this;
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() { reset(); }

  T* data() const noexcept { return data_; }
  std::size_t bytes() const noexcept { return bytes_; }
  /// The stream on which the block will be freed, instead of the one it was made on.
  void free_on(Stream stream) noexcept { stream_ = stream; }
  void reset() noexcept {
    if (data_ != nullptr) memory_->deallocate(std::exchange(data_, nullptr), bytes_, stream_);
    bytes_ = 0;
  }

 private:
  DeviceMemory* memory_ = nullptr;
  T* data_ = nullptr;
  std::size_t bytes_ = 0;
  Stream stream_;
};

}  // namespace flexgemm::detail
