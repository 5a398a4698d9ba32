#include "cuda/cuda_voxelizer.hpp"

#include <utility>

#include "cuda/device_array.hpp"
#include "cuda/driver.hpp"
#include "cuda/launch.hpp"
#include "cuda/voxelize.hpp"

namespace flexgemm::detail {

namespace {

class CudaVoxelizer final : public VoxelizerData {
 public:
  CudaVoxelizer(std::shared_ptr<const CudaDevice> gpu, const VoxelizerOptions& options_, Stream stream)
      : VoxelizerData(options_), gpu_(std::move(gpu)) {
    DeviceMemory& memory = gpu_->memory();
    cells_ = DeviceArray<std::uint64_t>(memory, options.max_points * 2, stream);
    integers_ = DeviceArray<std::int32_t>(memory, options.max_points * 3 + options.max_voxels + 2, stream);
    scratch_bytes_ = voxelize_scratch(options);
    scratch_ = DeviceArray<std::byte>(memory, static_cast<std::int64_t>(scratch_bytes_), stream);
    clear_flag(stream);
    FLEXGEMM_DRIVER(cuStreamSynchronize, stream.handle());
    cells_.free_on(gpu_->release_stream());
    integers_.free_on(gpu_->release_stream());
    scratch_.free_on(gpu_->release_stream());
  }
  ~CudaVoxelizer() override {
    const ContextScope scope(*gpu_);
    cells_.reset();
    integers_.reset();
    scratch_.reset();
  }

  void run(const VoxelizerArguments& arguments, Stream stream) const override {
    const ContextScope scope(*gpu_);
    std::int32_t* integers = integers_.data();
    const std::int64_t points = options.max_points;
    voxelize(options,
             {.points = arguments.points,
              .point_count = arguments.point_count,
              .coords = arguments.coords,
              .feats = arguments.feats,
              .voxel_count = arguments.voxel_count,
              .cells = {cells_.data(), cells_.data() + points},
              .order = {integers, integers + points},
              .voxel = integers + points * 2,
              .begin = integers + points * 3,
              .overflowed = flag(),
              .scratch = scratch_.data(),
              .scratch_bytes = scratch_bytes_},
             stream.handle());
  }
  bool overflowed(Stream stream) const override {
    const ContextScope scope(*gpu_);
    std::int32_t value = 0;
    gpu_->read_back(&value, flag(), sizeof(value), stream.handle());
    return value != 0;
  }
  void reset(Stream stream) const override {
    const ContextScope scope(*gpu_);
    clear_flag(stream);
  }

 private:
  /// Behind the max_voxels + 1 beginnings.
  std::int32_t* flag() const { return integers_.data() + options.max_points * 3 + options.max_voxels + 1; }
  void clear_flag(Stream stream) const {
    require_success(cudaMemsetAsync(flag(), 0, sizeof(std::int32_t), stream.handle()),
                    "clearing the flag of a voxelizer");
  }

  std::shared_ptr<const CudaDevice> gpu_;
  DeviceArray<std::uint64_t> cells_;
  DeviceArray<std::int32_t> integers_;
  std::size_t scratch_bytes_ = 0;
  DeviceArray<std::byte> scratch_;
};

}  // namespace

std::shared_ptr<const VoxelizerData> make_cuda_voxelizer(std::shared_ptr<const CudaDevice> gpu,
                                                         const VoxelizerOptions& options, Stream stream) {
  return std::make_shared<const CudaVoxelizer>(std::move(gpu), options, stream);
}

}  // namespace flexgemm::detail
