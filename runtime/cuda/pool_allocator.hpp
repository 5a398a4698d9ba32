#pragma once

#include <cuda.h>

#include <flexgemm/allocator.hpp>

namespace flexgemm::detail {

/// The library's own source of device memory: a stream-ordered pool that keeps what was freed, so that a
/// steady state costs no driver allocation; plain allocations on devices without pools. The device's context
/// must be current in every call, construction and destruction included. Thread-safe.
class PoolAllocator final : public Allocator {
 public:
  PoolAllocator(CUdevice device, bool pools_supported);
  ~PoolAllocator() override;
  PoolAllocator(const PoolAllocator&) = delete;
  PoolAllocator& operator=(const PoolAllocator&) = delete;

  void* allocate(std::size_t bytes, Stream stream) noexcept override;
  void deallocate(void* pointer, std::size_t bytes, Stream stream) noexcept override;

 private:
  CUmemoryPool pool_ = nullptr;
};

}  // namespace flexgemm::detail
