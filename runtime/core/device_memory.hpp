#pragma once

#include <atomic>
#include <cstddef>

#include <flexgemm/context.hpp>

namespace flexgemm::detail {

/// Counts what passes through an Allocator and turns exhaustion into an Error. Thread-safe.
class DeviceMemory {
 public:
  explicit DeviceMemory(Allocator& allocator) noexcept : allocator_(allocator) {}

  /// Throws Error{out_of_memory}, Error{invalid_argument} if the hook breaks its promise of alignment.
  void* allocate(std::size_t bytes, Stream stream);
  void deallocate(void* pointer, std::size_t bytes, Stream stream) noexcept;
  MemoryStatistics statistics() const noexcept;

 private:
  Allocator& allocator_;
  std::atomic<std::size_t> current_{0};
  std::atomic<std::size_t> peak_{0};
};

}  // namespace flexgemm::detail
