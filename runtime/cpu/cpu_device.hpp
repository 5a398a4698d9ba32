#pragma once

#include <flexgemm/context.hpp>

#include "core/device_memory.hpp"
#include "cpu/host_allocator.hpp"
#include "cpu/kernels.hpp"
#include "cpu/thread_pool.hpp"

namespace flexgemm::detail {

/// What the backend and every map made from it share; lives as long as the last of them.
struct CpuDevice {
  explicit CpuDevice(const ContextOptions& options)
      : memory(options.allocator != nullptr ? *options.allocator : default_allocator),
        pool(options.threads > 0 ? options.threads : usable_processors()),
        kernels(select_kernels()) {}

  HostAllocator default_allocator;
  DeviceMemory memory;
  ThreadPool pool;
  const Kernels& kernels;
};

}  // namespace flexgemm::detail
