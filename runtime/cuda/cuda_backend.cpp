#include "cuda/cuda_backend.hpp"

#include <string>
#include <system_error>
#include <utility>

#include "core/fail.hpp"
#include "core/log.hpp"
#include "cuda/backward_steps.hpp"
#include "cuda/cuda_frame_map.hpp"
#include "cuda/cuda_plan.hpp"
#include "cuda/cuda_voxelizer.hpp"
#include "cuda/device_array.hpp"
#include "cuda/driver.hpp"
#include "cuda/transpose_weights.hpp"

namespace flexgemm::detail {

CudaBackend::CudaBackend(std::shared_ptr<const CudaDevice> device, const ContextOptions& options,
                         const Stores& stores, std::shared_ptr<KernelCompiler> compiler)
    : device_(std::move(device)),
      stores_(stores),
      kernels_(*device_, stores.kernels, std::move(compiler)),
      choices_(kernels_, stores.tuning, options.tuning) {}

std::shared_ptr<const MapData> CudaBackend::submanifold_map(const MapArguments& arguments, Stream stream) {
  const ContextScope scope(*device_);
  return std::make_shared<const CudaMap>(device_, arguments, stream);
}

KernelChoice CudaBackend::choice(const Conv3dOptions& conv, const MapData& map, Op op) {
  const ContextScope scope(*device_);
  const GemmChoice choice = choices_.ask(pass_without_tensors(conv, cuda_map(map), op));
  return {.algorithm = choice.algorithm,
          .kernel = codegen::to_string(choice.spec),
          .splits = choice.splits,
          .groups = choice.groups};
}

TuneReport CudaBackend::tune(const Conv3dOptions& conv, const MapData& map, const TuneRequest& request,
                             Stream stream) {
  const ContextScope scope(*device_);
  GemmPass pass = pass_without_tensors(conv, cuda_map(map), request.pass.op);
  if (request.pass.bias) {
    // Tuning makes its own tensors: what counts is that there is one.
    alignas(16) static constexpr char some_bias = 0;
    pass.bias = &some_bias;
    pass.bias_dtype = storage_type(*request.pass.bias);
  }
  if (request.pass.result) pass.output_dtype = storage_type(*request.pass.result);
  return choices_.tune(pass, request, stream);
}

void CudaBackend::load_kernel_pack(const std::filesystem::path& file) {
  stores_.load_pack(file);
  choices_.forget();
}

void CudaBackend::run(const GemmPass& pass, Stream stream) {
  run_pass(kernels_, pass, choices_.get(pass, stream), stream);
}

void CudaBackend::forward(const ForwardArguments& arguments, Stream stream) {
  if (arguments.map->rows == 0) return;
  const ContextScope scope(*device_);
  run(forward_pass(arguments), stream);
}

void CudaBackend::backward(const BackwardArguments& arguments, Stream stream) {
  const ContextScope scope(*device_);
  if (arguments.map->rows == 0) return clear_gradients(arguments, stream);
  if (arguments.grad_input != nullptr && arguments.grad_weight != nullptr) {
    // Both choices first: kernels that are missing compile side by side.
    const GemmPass input = grad_input_pass(arguments);
    const GemmPass weight = grad_weight_pass(arguments);
    const GemmChoice input_choice = choices_.get(input, stream);
    const GemmChoice weight_choice = choices_.get(weight, stream);
    run_pass(kernels_, input, input_choice, stream);
    run_pass(kernels_, weight, weight_choice, stream);
  } else if (arguments.grad_input != nullptr) {
    run(grad_input_pass(arguments), stream);
  } else if (arguments.grad_weight != nullptr) {
    run(grad_weight_pass(arguments), stream);
  }
  if (arguments.grad_bias == nullptr) return;
  GradBias gradient = grad_bias_of(arguments, *device_);
  const DeviceArray<float> partials(device_->memory(), gradient.parts * gradient.channels, stream);
  gradient.partials = partials.data();
  run_grad_bias(gradient, stream.handle());
}

void CudaBackend::transpose_weight(const Conv3dOptions& conv, const void* weight, void* transposed,
                                   Stream stream) {
  const ContextScope scope(*device_);
  detail::transpose_weight(kernels_, conv, weight, transposed, stream);
}

std::shared_ptr<const FrameMapData> CudaBackend::frame_map(const FrameMapArguments& arguments,
                                                           Stream stream) {
  const ContextScope scope(*device_);
  return make_cuda_frame_map(device_, arguments, stream);
}

std::shared_ptr<const VoxelizerData> CudaBackend::voxelizer(const VoxelizerOptions& options, Stream stream) {
  const ContextScope scope(*device_);
  return make_cuda_voxelizer(device_, options, stream);
}

std::shared_ptr<const BackendPlan> CudaBackend::freeze(const FreezeArguments& arguments, Stream stream) {
  const ContextScope scope(*device_);
  return std::make_shared<const CudaPlan>(
      device_, kernels_, arguments, [&](const GemmPass& pass) { return choices_.get(pass, stream); }, stream);
}

void* CudaBackend::allocate(std::size_t bytes, Stream stream) {
  const ContextScope scope(*device_);
  return device_->memory().allocate(bytes, stream);
}

void CudaBackend::deallocate(void* pointer, std::size_t bytes, Stream stream) noexcept {
  const ContextScope scope(*device_);
  device_->memory().deallocate(pointer, bytes, stream);
}

void CudaBackend::copy_to_device(void* target, const void* source, std::size_t bytes, Stream stream) {
  const ContextScope scope(*device_);
  FLEXGEMM_DRIVER(cuMemcpyHtoDAsync, reinterpret_cast<CUdeviceptr>(target), source, bytes, stream.handle());
  FLEXGEMM_DRIVER(cuStreamSynchronize,
                  stream.handle());  // a copy from pinned memory returns before it is done
}

void CudaBackend::copy_to_host(void* target, const void* source, std::size_t bytes, Stream stream) {
  const ContextScope scope(*device_);
  FLEXGEMM_DRIVER(cuMemcpyDtoHAsync, target, reinterpret_cast<CUdeviceptr>(source), bytes, stream.handle());
  FLEXGEMM_DRIVER(cuStreamSynchronize, stream.handle());
}

void CudaBackend::synchronize(Stream stream) {
  const ContextScope scope(*device_);
  FLEXGEMM_DRIVER(cuStreamSynchronize, stream.handle());
}

namespace {

/// Workers for a first start, one of which is being started while the driver is; null where there is no
/// program for them.
std::shared_ptr<KernelCompiler> first_compiler(const Stores& stores) {
  if (!stores.first_start || !driver_is_installed()) return nullptr;
  const std::string worker = compile_worker_path();
  if (worker.empty()) return nullptr;
  try {
    return std::make_shared<KernelCompiler>(KernelCompilerOptions{.worker_path = worker});
  } catch (const std::system_error& error) {
    log(1, "kernels are compiled in this process: {}", error.what());
    return nullptr;
  }
}

}  // namespace

std::shared_ptr<Backend> open_cuda_backend(int ordinal, const ContextOptions& options) {
  const Stores stores = open_stores(options);
  std::shared_ptr<KernelCompiler> compiler = first_compiler(stores);
  auto device = std::make_shared<const CudaDevice>(ordinal, options);
  return std::make_shared<CudaBackend>(std::move(device), options, stores, std::move(compiler));
}

}  // namespace flexgemm::detail
