#pragma once

#include <memory>
#include <string>

#include "cache/stores.hpp"
#include "core/backend.hpp"
#include "cuda/cuda_device.hpp"
#include "cuda/cuda_map.hpp"
#include "cuda/gemm_pass.hpp"
#include "cuda/kernel_cache.hpp"
#include "cuda/pass_choices.hpp"

namespace flexgemm::detail {

/// The Backend table on a GPU. Every call makes the device's context current for its duration and
/// restores the caller's.
class CudaBackend final : public Backend {
 public:
  CudaBackend(std::shared_ptr<const CudaDevice> device, const ContextOptions& options, const Stores& stores,
              std::shared_ptr<KernelCompiler> compiler = nullptr);

  Device device() const noexcept override { return Device::cuda(device_->ordinal()); }
  const void* address_space() const noexcept override { return device_->context(); }
  std::string description() const override { return device_->description(); }

  std::shared_ptr<const MapData> submanifold_map(const MapArguments& arguments, Stream stream) override;

  KernelChoice choice(const Conv3dOptions& conv, const MapData& map, Op op) override;
  TuneReport tune(const Conv3dOptions& conv, const MapData& map, const TuneRequest& request,
                  Stream stream) override;
  TuningOptions tuning() const override { return choices_.options(); }
  void set_tuning(const TuningOptions& options) override { choices_.set_options(options); }
  void load_kernel_pack(const std::filesystem::path& file) override;
  void forward(const ForwardArguments& arguments, Stream stream) override;
  void backward(const BackwardArguments& arguments, Stream stream) override;
  void transpose_weight(const Conv3dOptions& conv, const void* weight, void* transposed,
                        Stream stream) override;

  std::shared_ptr<const FrameMapData> frame_map(const FrameMapArguments& arguments, Stream stream) override;
  std::shared_ptr<const VoxelizerData> voxelizer(const VoxelizerOptions& options, Stream stream) override;
  std::shared_ptr<const BackendPlan> freeze(const FreezeArguments& arguments, Stream stream) override;

  void* allocate(std::size_t bytes, Stream stream) override;
  void deallocate(void* pointer, std::size_t bytes, Stream stream) noexcept override;
  void copy_to_device(void* target, const void* source, std::size_t bytes, Stream stream) override;
  void copy_to_host(void* target, const void* source, std::size_t bytes, Stream stream) override;
  void synchronize(Stream stream) override;
  MemoryStatistics memory() const override { return device_->memory().statistics(); }

  /// What the tuner, tests and benchmarks build on.
  const CudaDevice& cuda_device() const noexcept { return *device_; }
  KernelCache& kernels() noexcept { return kernels_; }
  TuningStore& tuning_store() noexcept { return *stores_.tuning; }

 private:
  /// Chooses and runs; the device's context must be current.
  void run(const GemmPass& pass, Stream stream);

  std::shared_ptr<const CudaDevice> device_;
  Stores stores_;
  KernelCache kernels_;
  PassChoices choices_;
};

}  // namespace flexgemm::detail
