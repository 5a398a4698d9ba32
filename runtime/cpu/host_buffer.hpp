#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "core/device_memory.hpp"
#include "core/fail.hpp"

namespace flexgemm::detail {

/// Uninitialized array in memory from the context's allocator, aligned to 256 bytes. Movable.
template <class T>
class HostBuffer {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  HostBuffer() noexcept = default;
  /// Throws Error{out_of_memory}, also if the bytes cannot be counted.
  HostBuffer(DeviceMemory& memory, std::int64_t count) : memory_(&memory), count_(count) {
    if (count == 0) return;
    if (count > std::numeric_limits<std::ptrdiff_t>::max() / static_cast<std::int64_t>(sizeof(T)))
      fail(ErrorCode::out_of_memory, "{} elements of {} bytes do not fit into memory", count, sizeof(T));
    data_ = static_cast<T*>(memory.allocate(bytes(), Stream{}));
  }
  HostBuffer(HostBuffer&& other) noexcept { swap(other); }
  HostBuffer& operator=(HostBuffer&& other) noexcept {
    HostBuffer taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~HostBuffer() {
    if (data_ != nullptr) memory_->deallocate(data_, bytes(), Stream{});
  }

  T* data() noexcept { return data_; }
  const T* data() const noexcept { return data_; }
  T& operator[](std::int64_t index) noexcept { return data_[index]; }
  const T& operator[](std::int64_t index) const noexcept { return data_[index]; }
  std::int64_t size() const noexcept { return count_; }

 private:
  std::size_t bytes() const noexcept { return static_cast<std::size_t>(count_) * sizeof(T); }
  void swap(HostBuffer& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
  }

  DeviceMemory* memory_ = nullptr;
  T* data_ = nullptr;
  std::int64_t count_ = 0;
};

}  // namespace flexgemm::detail
