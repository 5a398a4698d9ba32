#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <cuda.h>

#include "cache/kernel_store.hpp"
#include "codegen/emit.hpp"
#include "codegen/kernel_spec.hpp"
#include "cuda/cuda_device.hpp"
#include "cuda/pass_program.hpp"
#include "tuner/kernel_compiler.hpp"

namespace flexgemm::detail {

/// A kernel loaded on a device.
class Kernel {
 public:
  /// Loads the image. The device's context must be current, here and in the destructor.
  Kernel(const codegen::KernelSpec& spec, const CompiledKernel& compiled);
  ~Kernel();
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  const codegen::KernelSpec& spec() const noexcept { return spec_; }
  const codegen::LaunchShape& shape() const noexcept { return shape_; }
  int registers() const noexcept { return registers_; }  ///< a thread
  int local_bytes() const noexcept { return local_bytes_; }

  /// Enqueues the kernel over a grid of blocks_x * blocks_y blocks; `parameters` is its one argument. Throws
  /// Error{unsupported} for a grid beyond the hardware's limits.
  template <class Parameters>
  void launch(std::int64_t blocks_x, std::int64_t blocks_y, const Parameters& parameters,
              Stream stream) const {
    Parameters argument = parameters;
    launch_with(blocks_x, blocks_y, &argument, stream);
  }

  /// The same, or a note of it where the target is a recording.
  template <class Parameters>
  void launch(std::int64_t blocks_x, std::int64_t blocks_y, const Parameters& parameters,
              const LaunchTarget& target) const {
    if (target.recorder() == nullptr) {
      launch(blocks_x, blocks_y, parameters, static_cast<Stream>(target));
    } else {
      record(blocks_x, blocks_y, &parameters, sizeof(parameters), *target.recorder());
    }
  }

 private:
  void require_grid(std::int64_t blocks_x, std::int64_t blocks_y) const;
  void record(std::int64_t blocks_x, std::int64_t blocks_y, const void* parameters, std::size_t bytes,
              PassRecorder& recorder) const;
  void launch_with(std::int64_t blocks_x, std::int64_t blocks_y, void* argument, Stream stream) const;
  void find_function();

  codegen::KernelSpec spec_;
  codegen::LaunchShape shape_;
  CUmodule module_ = nullptr;
  CUfunction function_ = nullptr;
  int registers_ = 0;
  int local_bytes_ = 0;
};

/// The kernels of one device, loaded from the store or compiled on first use. Thread-safe: of several threads
/// that ask for the same kernel one compiles it and the others wait.
class KernelCache {
 public:
  /// Kernels that are not in the store come from `compiler`, or, without one, are compiled in this process.
  explicit KernelCache(const CudaDevice& device, std::shared_ptr<KernelStore> store = nullptr,
                       std::shared_ptr<KernelCompiler> compiler = nullptr);
  ~KernelCache();

  const CudaDevice& device() const noexcept { return device_; }

  /// The kernel, loaded; the reference lives as long as the cache. The device's context must be current.
  /// Throws Error{unsupported} for an invalid spec, Error{compile}, Error{driver}. A failure is not
  /// remembered.
  const Kernel& get(const codegen::KernelSpec& spec);

  /// Starts the compilation of those that are missing, side by side, and returns at once; does nothing where
  /// that is not possible. `specs` is only called where it is.
  void prepare(const std::function<std::vector<codegen::KernelSpec>()>& specs);

  /// Takes a kernel that was compiled elsewhere, unless it is here already, and saves it.
  void adopt(const codegen::KernelSpec& spec, const CompiledKernel& compiled);

  const std::shared_ptr<KernelStore>& store() const noexcept { return store_; }

 private:
  struct Entry {
    std::mutex mutex;
    std::unique_ptr<const Kernel> kernel;
  };
  bool is_missing(const codegen::KernelSpec& spec);
  std::shared_ptr<Entry> entry_of(const codegen::KernelSpec& spec);
  std::unique_ptr<const Kernel> make(const codegen::KernelSpec& spec);
  std::unique_ptr<const Kernel> load(const std::string& hash, const codegen::KernelSpec& spec);

  const CudaDevice& device_;
  std::shared_ptr<KernelStore> store_;
  std::shared_ptr<KernelCompiler> compiler_;
  std::mutex mutex_;
  // Equal specs have equal sources, so the spec itself is the in-process key: no source is emitted to look
  // one up.
  std::map<codegen::KernelSpec, std::shared_ptr<Entry>> entries_;
};

}  // namespace flexgemm::detail
