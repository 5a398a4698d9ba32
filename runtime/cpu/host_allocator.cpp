#include "cpu/host_allocator.hpp"

#include <new>

namespace flexgemm::detail {

namespace {
constexpr std::align_val_t alignment{256};
}

void* HostAllocator::allocate(std::size_t bytes, Stream) noexcept {
  return ::operator new(bytes, alignment, std::nothrow);
}

void HostAllocator::deallocate(void* pointer, std::size_t, Stream) noexcept {
  ::operator delete(pointer, alignment);
}

}  // namespace flexgemm::detail
