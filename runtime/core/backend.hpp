#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include <flexgemm/context.hpp>
#include <flexgemm/tuning.hpp>

#include "core/prepared_epilogue.hpp"

namespace flexgemm::detail {

/// What every backend's neighbor map has in common. Backends derive from it and add their own layouts.
class MapData {
 public:
  MapData(Device device_, std::int64_t rows_, const SubmanifoldOptions& options,
          const void* address_space_ = nullptr) noexcept
      : device(device_),
        address_space(address_space_),
        rows(rows_),
        kernel(options.kernel),
        dilation(options.dilation) {}
  virtual ~MapData() = default;
  MapData(const MapData&) = delete;
  MapData& operator=(const MapData&) = delete;

  virtual std::int64_t pairs() const = 0;
  virtual const std::int32_t* indices() const = 0;
  /// Whether it is the map of a FrameMap, whose content changes: it serves forward alone.
  virtual bool is_frame() const noexcept { return false; }

  int volume() const noexcept { return kernel.x * kernel.y * kernel.z; }

  const Device device;
  const void* const address_space;  // as Backend::address_space of who made it
  const std::int64_t rows;
  const Extent3 kernel;
  const Extent3 dilation;
};

/// Arguments that the core has validated: shapes agree, pointers are non-null wherever there are elements.
struct MapArguments {
  const std::int32_t* coords;  // [rows, 4]
  std::int64_t rows;
  Grid grid;
  SubmanifoldOptions options;
};

struct ForwardArguments {
  const Conv3dOptions* conv;
  const MapData* map;
  const void* feats;
  const void* weight;
  const void* bias;  // nullptr: none
  DType bias_dtype;
  void* out;
  EpilogueArguments epilogue{};
};

struct BackwardArguments {
  const Conv3dOptions* conv;
  const MapData* map;
  const void* grad_out;
  const void* feats;   // nullptr unless grad_weight
  const void* weight;  // nullptr unless grad_input
  void* grad_input;    // nullptr: not asked for
  void* grad_weight;
  DType grad_weight_dtype;
  void* grad_bias;
  DType grad_bias_dtype;
  bool accumulate;
  const void* transposed_weight = nullptr;  // not given
};

/// Whether a kernel's maps are their own inverse, with the offsets the other way round.
inline bool is_mirrored(const Extent3& kernel) noexcept {
  return kernel.x % 2 == 1 && kernel.y % 2 == 1 && kernel.z % 2 == 1;
}

class BackendPlan;
class FrameMapData;
class VoxelizerData;
struct FrameMapArguments;
struct FreezeArguments;

/// The table of functions that a device implements. All of it is thread-safe.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual Device device() const noexcept = 0;
  /// What tells apart memory that one device cannot use together: the CUcontext on a GPU.
  virtual const void* address_space() const noexcept { return nullptr; }
  virtual std::string description() const = 0;

  virtual std::shared_ptr<const MapData> submanifold_map(const MapArguments& arguments, Stream stream) = 0;

  /// Throws Error{unsupported} if the pinned algorithm cannot serve the problem.
  virtual KernelChoice choice(const Conv3dOptions& conv, const MapData& map, Op op) = 0;
  /// Throws Error{unsupported} where nothing can be tuned. The map has rows.
  virtual TuneReport tune(const Conv3dOptions& conv, const MapData& map, const TuneRequest& request,
                          Stream stream) = 0;
  virtual TuningOptions tuning() const = 0;
  virtual void set_tuning(const TuningOptions& options) = 0;
  /// Throws Error{io} with what is wrong with the file.
  virtual void load_kernel_pack(const std::filesystem::path& file) = 0;
  virtual void forward(const ForwardArguments& arguments, Stream stream) = 0;
  virtual void backward(const BackwardArguments& arguments, Stream stream) = 0;
  /// Conv3d::transpose_weight, with checked arguments.
  virtual void transpose_weight(const Conv3dOptions& conv, const void* weight, void* transposed,
                                Stream stream) = 0;

  /// core/frames.hpp; may wait.
  virtual std::shared_ptr<const FrameMapData> frame_map(const FrameMapArguments& arguments,
                                                        Stream stream) = 0;
  virtual std::shared_ptr<const VoxelizerData> voxelizer(const VoxelizerOptions& options, Stream stream) = 0;

  /// Decides, compiles and builds all that the passes of a plan need (core/backend_plan.hpp). May wait.
  virtual std::shared_ptr<const BackendPlan> freeze(const FreezeArguments& arguments, Stream stream) = 0;

  virtual void* allocate(std::size_t bytes, Stream stream) = 0;  // throws Error{out_of_memory}
  virtual void deallocate(void* pointer, std::size_t bytes, Stream stream) noexcept = 0;
  virtual void copy_to_device(void* target, const void* source, std::size_t bytes, Stream stream) = 0;
  virtual void copy_to_host(void* target, const void* source, std::size_t bytes, Stream stream) = 0;
  virtual void synchronize(Stream stream) = 0;
  virtual MemoryStatistics memory() const = 0;
};

std::shared_ptr<Backend> open_cpu_backend(const ContextOptions& options);
std::shared_ptr<Backend> open_cuda_backend(int ordinal, const ContextOptions& options);

}  // namespace flexgemm::detail
