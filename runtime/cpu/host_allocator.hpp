#pragma once

#include <cstddef>

#include <flexgemm/allocator.hpp>

namespace flexgemm::detail {

/// Host memory from the C++ runtime, aligned to 256 bytes.
class HostAllocator final : public Allocator {
 public:
  void* allocate(std::size_t bytes, Stream stream) noexcept override;
  void deallocate(void* pointer, std::size_t bytes, Stream stream) noexcept override;
};

}  // namespace flexgemm::detail
