#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <cuda.h>

#include <flexgemm/context.hpp>

#include "codegen/kernel_spec.hpp"
#include "core/device_memory.hpp"

namespace flexgemm::detail {

/// Facts about a GPU that kernel choices depend on.
struct DeviceProperties {
  std::string name;
  int major = 0;  ///< compute capability
  int minor = 0;
  int multiprocessors = 0;
  bool memory_pools = false;
};

/// Turing: the oldest architecture that the map kernels and codegen are built for.
inline constexpr int least_compute_capability = 75;

/// Throws Error{driver}.
DeviceProperties properties_of(CUdevice device);

/// Architecture that kernels are generated for: from Hopper on with the instructions of exactly this one.
codegen::Architecture architecture_of(const DeviceProperties& properties);

/// An open GPU: its primary context, retained for the life of the object, or a context of the caller's; and
/// its memory. Shared by the backend and by the maps made from it. Thread-safe.
class CudaDevice {
 public:
  /// Throws Error{no_device} without a driver or for an ordinal that does not exist, Error{unsupported} for a
  /// GPU older than the library's kernels, Error{invalid_argument} for a CUcontext of another device,
  /// Error{driver}.
  CudaDevice(int ordinal, const ContextOptions& options);
  ~CudaDevice();
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  int ordinal() const noexcept { return ordinal_; }
  CUcontext context() const noexcept { return context_; }
  const DeviceProperties& properties() const noexcept { return properties_; }
  /// "cuda:0, NVIDIA H200, sm_90, 132 SMs".
  std::string description() const;

  DeviceMemory& memory() const noexcept { return *memory_; }
  /// A stream of the library's own on which long-lived blocks are freed, because the user's stream on which
  /// they were made may be gone by then.
  CUstream release_stream() const noexcept { return release_stream_; }

  /// Copies at most 256 bytes to the host through pinned memory and waits for them. The context must be
  /// current.
  void read_back(void* target, const void* source, std::size_t bytes, CUstream stream) const;

 private:
  void* take_pinned_block() const;
  void require_context_of_this_device() const;
  void open_context(Allocator* allocator);
  void close() noexcept;

  int ordinal_;
  CUdevice device_ = 0;
  CUcontext context_ = nullptr;
  bool owns_context_ = false;  // the primary one, retained
  DeviceProperties properties_;
  std::unique_ptr<Allocator> own_allocator_;
  std::unique_ptr<DeviceMemory> memory_;
  CUstream release_stream_ = nullptr;
  mutable std::mutex pinned_mutex_;
  mutable std::vector<void*> pinned_blocks_;  // free ones
};

/// Makes a device's context current for the life of the object and restores what was current before. Never
/// throws: if the driver is shutting down, the calls inside report it.
class ContextScope {
 public:
  explicit ContextScope(const CudaDevice& device) noexcept;
  ~ContextScope();
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

 private:
  bool pushed_;
};

}  // namespace flexgemm::detail
