#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <flexgemm/allocator.hpp>
#include <flexgemm/conv3d.hpp>
#include <flexgemm/device.hpp>
#include <flexgemm/export.hpp>
#include <flexgemm/frame_map.hpp>
#include <flexgemm/neighbor_map.hpp>
#include <flexgemm/tensor_view.hpp>
#include <flexgemm/tuning.hpp>
#include <flexgemm/voxelizer.hpp>

namespace flexgemm {

/// Memory on a context's device, freed when the object dies. Movable, not copyable.
class FLEXGEMM_API Buffer {
 public:
  Buffer() noexcept = default;
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  void* data() const noexcept { return data_; }
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  friend class Context;
  Buffer(std::shared_ptr<detail::Backend> backend, void* data, std::size_t bytes, Stream stream) noexcept;
  void release() noexcept;
  std::shared_ptr<detail::Backend> backend_;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  Stream stream_;
};

/// Bytes that the library holds through the context's allocator: maps, workspaces and Buffers.
struct MemoryStatistics {
  std::size_t current_bytes = 0;
  std::size_t peak_bytes = 0;
};

/// Where compiled kernels and tuning results outlive the process. An environment variable fills in what is
/// left at its default. See flexgemm/cache.hpp and docs/tuning.md.
struct CacheOptions {
  /// False: nothing is read from or written to disk. FLEXGEMM_CACHE=off does the same.
  bool enabled = true;
  /// Empty: $FLEXGEMM_CACHE_DIR, else $XDG_CACHE_HOME/flexgemm, else ~/.cache/flexgemm. Made if it is absent,
  /// readable by the user alone. A folder that others may write to is not used.
  std::filesystem::path folder{};
  /// Bytes of kernels from which those are removed that have not been used for the longest time; 0:
  /// $FLEXGEMM_CACHE_LIMIT_MIB, else 1 GiB.
  std::uint64_t limit_bytes = 0;
};

struct ContextOptions {
  /// Worker threads of the CPU backend; 0 means all processors that the process may use.
  int threads = 0;
  /// Source of device memory; nullptr means the library's own. Must outlive the context and all it made.
  Allocator* allocator = nullptr;
  /// Whether and how kernels are measured on a GPU.
  TuningOptions tuning{};
  /// The cache on disk (GPUs only).
  CacheOptions cache{};
  /// Kernel packs that are looked in before the cache, in this order. One that is damaged or missing is left
  /// out, with a line in the log; verify_pack tells what is wrong with it.
  std::vector<std::filesystem::path> kernel_packs{};
  /// CUDA only: the CUcontext to work in, for an engine that made one of its own and passes memory and
  /// streams of it; nullptr means the device's primary context, which is where the CUDA runtime (cudaMalloc,
  /// cudaStreamCreate) and frameworks work. It must belong to the device that is opened and stay alive longer
  /// than the context and all it made; the library makes it current for the duration of each call and never
  /// destroys it. Maps and convolutions of different CUcontexts do not mix.
  CUctx_st* cuda_context = nullptr;
};

/// A device ready for work: the root of everything else. A handle: cheap to copy and safe to use from any
/// thread; maps, convolutions and buffers keep the device open after the last Context is gone.
class FLEXGEMM_API Context {
 public:
  /// Opens a device. Throws Error{no_device} if it does not exist or its driver cannot be loaded,
  /// Error{invalid_argument} for an option out of its range or a CUcontext of another device.
  static Context open(Device device, const ContextOptions& options = {});

  Device device() const;
  /// One line for people: "cpu, 8 threads, avx2" or "cuda:0, NVIDIA H200, sm_90, 132 SMs".
  std::string description() const;

  /// Builds the neighbor map of a submanifold convolution. `coords` is int32 [N, 4] (batch, x, y, z) on the
  /// device, N >= 0. See SubmanifoldOptions for what is checked. Throws Error{invalid_argument,
  /// invalid_coordinate, out_of_memory}.
  NeighborMap submanifold_map(const ConstTensorView& coords, const Grid& grid,
                              const SubmanifoldOptions& options = {}, Stream stream = {}) const;

  /// Makes a map for frames of at most `capacity` voxels (<flexgemm/frame_map.hpp>), with all its memory.
  /// Throws Error{invalid_argument, out_of_memory}.
  FrameMap frame_map(std::int64_t capacity, const Grid& grid, const FrameMapOptions& options = {},
                     Stream stream = {}) const;
  /// Makes a voxelizer (<flexgemm/voxelizer.hpp>), with all its memory. Throws Error{invalid_argument,
  /// out_of_memory}.
  Voxelizer voxelizer(const VoxelizerOptions& options, Stream stream = {}) const;

  /// Makes a convolution. Throws Error{invalid_argument} for channels or kernel extents outside their range.
  Conv3d conv3d(const Conv3dOptions& options) const;

  /// Uninitialized memory on the device; `bytes` may be 0.
  Buffer allocate(std::size_t bytes, Stream stream = {}) const;
  /// Copies between the host and the device in stream order, and returns when `source` may be reused and, for
  /// copy_to_host, when `target` is complete. Throws Error{invalid_argument} for a null pointer with bytes to
  /// copy, Error{driver}.
  void copy_to_device(void* target, const void* source, std::size_t bytes, Stream stream = {}) const;
  void copy_to_host(void* target, const void* source, std::size_t bytes, Stream stream = {}) const;
  /// Waits until all work on the stream is done; throws the error it may have met.
  void synchronize(Stream stream = {}) const;

  MemoryStatistics memory() const;

  /// How this context tunes now; and another way from now on, for all its handles: a program tunes while it
  /// loads and sets `never` before its frames begin. Shapes that were decided about without tuning are
  /// decided about anew when the policy becomes `on_miss` or `force`; what a context has tuned it does not
  /// tune again (Conv3d::tune does). Plans keep what they have. On the CPU it is kept and has no effect.
  /// Throws Error{invalid_argument}.
  TuningOptions tuning() const;
  void set_tuning(const TuningOptions& options);

  /// Adds a kernel pack to those of ContextOptions::kernel_packs, after them; layers that were decided about
  /// are decided about anew, plans keep what they have. Header, index and tuning results are verified now, a
  /// kernel when it is loaded; verify_pack checks every byte. A CPU context checks as much and uses none of
  /// it. Throws Error{io} with what is wrong with the file.
  void load_kernel_pack(const std::filesystem::path& file);

 private:
  explicit Context(std::shared_ptr<detail::Backend> backend) noexcept;
  std::shared_ptr<detail::Backend> backend_;
};

}  // namespace flexgemm
