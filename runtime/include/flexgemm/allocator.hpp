#pragma once

#include <cstddef>

#include <flexgemm/device.hpp>
#include <flexgemm/export.hpp>

namespace flexgemm {

/// Hook through which the library takes every block of device memory (host memory for the CPU backend's maps
/// and workspaces). Implementations must be thread-safe and must outlive every object made from the context.
class FLEXGEMM_API Allocator {
 public:
  virtual ~Allocator();
  /// At least `bytes` bytes (never 0), aligned to 256 bytes, usable by work enqueued on `stream` from now on.
  /// Returns nullptr when memory is exhausted; the library turns that into Error{out_of_memory}.
  virtual void* allocate(std::size_t bytes, Stream stream) noexcept = 0;
  /// Gives back a block from `allocate`, possibly on another stream than it was taken on. Work on `stream`
  /// that was enqueued before the call may still use it.
  virtual void deallocate(void* pointer, std::size_t bytes, Stream stream) noexcept = 0;
};

}  // namespace flexgemm
