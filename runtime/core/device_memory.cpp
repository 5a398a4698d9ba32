#include "core/device_memory.hpp"

#include <cstdint>

#include "core/fail.hpp"

namespace flexgemm::detail {

namespace {

/// What Allocator::allocate promises: kernels read 16 bytes at once, TMA asks for 128.
constexpr std::uintptr_t alignment = 256;

}  // namespace

void* DeviceMemory::allocate(std::size_t bytes, Stream stream) {
  void* pointer = allocator_.allocate(bytes, stream);
  if (pointer == nullptr) {
    fail(ErrorCode::out_of_memory, "could not allocate {} bytes; {} bytes are held by this context already",
         bytes, current_.load());
  }
  if (reinterpret_cast<std::uintptr_t>(pointer) % alignment != 0) {
    allocator_.deallocate(pointer, bytes, stream);
    fail(ErrorCode::invalid_argument,
         "the allocator hook returned {} for {} bytes; blocks must be aligned to {} bytes", pointer, bytes,
         alignment);
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
