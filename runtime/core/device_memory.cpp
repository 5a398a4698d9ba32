#include "core/device_memory.hpp"

#include "core/fail.hpp"

namespace flexgemm::detail {

void* DeviceMemory::allocate(std::size_t bytes, Stream stream) {
  void* pointer = allocator_.allocate(bytes, stream);
  if (pointer == nullptr) {
    fail(ErrorCode::out_of_memory, "could not allocate {} bytes; {} bytes are held by this context already",
         bytes, current_.load());
  }
  const std::size_t current = current_.fetch_add(bytes) + bytes;
  std::size_t peak = peak_.load();
  while (peak < current && !peak_.compare_exchange_weak(peak, current)) {
  }
  return pointer;
}

void DeviceMemory::deallocate(void* pointer, std::size_t bytes, Stream stream) noexcept {
  allocator_.deallocate(pointer, bytes, stream);
  current_.fetch_sub(bytes);
}

MemoryStatistics DeviceMemory::statistics() const noexcept { return {current_.load(), peak_.load()}; }

}  // namespace flexgemm::detail
