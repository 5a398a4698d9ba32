#include "cpu/host_allocator.hpp"

#include <cstdint>
#include <new>

namespace flexgemm::detail {

namespace {
constexpr std::align_val_t alignment{256};
}

void* HostAllocator::allocate(std::size_t bytes, Stream) noexcept {
  if (bytes > PTRDIFF_MAX) return nullptr;  // operator new rounds up to the alignment, which could overflow
  return ::operator new(bytes, alignment, std::nothrow);
}

void HostAllocator::deallocate(void* pointer, std::size_t, Stream) noexcept {
  ::operator delete(pointer, alignment);
}

}  // namespace flexgemm::detail
