#include "cuda/cuda_backend.hpp"

#include <utility>

#include "core/fail.hpp"
#include "cuda/driver.hpp"

namespace flexgemm::detail {

CudaBackend::CudaBackend(std::shared_ptr<const CudaDevice> device)
    : device_(std::move(device)), kernels_(*device_) {}

std::shared_ptr<const MapData> CudaBackend::submanifold_map(const MapArguments& arguments, Stream stream) {
  const ContextScope scope(*device_);
  return std::make_shared<const CudaMap>(device_, arguments, stream);
}

KernelChoice CudaBackend::choice(const Conv3dOptions& conv, const MapData& map, Op op) {
  if (op != Op::forward) {
    fail(ErrorCode::unsupported, "{} does not run on CUDA devices yet; use the device cpu for gradients",
         name(op));
  }
  const ContextScope scope(*device_);
  const GemmChoice choice = choices_.get(*device_, pass_without_tensors(conv, cuda_map(map), op));
  return {.algorithm = choice.algorithm, .kernel = codegen::to_string(choice.spec), .splits = choice.splits};
}

TuneReport CudaBackend::tune(const Conv3dOptions&, const MapData&, const TuneRequest&, Stream) {
  fail(ErrorCode::unsupported, "tuning does not run on CUDA devices yet");
}

void CudaBackend::run(const GemmPass& pass, Stream stream) {
  run_pass(kernels_, pass, choices_.get(*device_, pass), stream);
}

void CudaBackend::forward(const ForwardArguments& arguments, Stream stream) {
  if (arguments.map->rows == 0) return;
  const ContextScope scope(*device_);
  run(forward_pass(arguments), stream);
}

void CudaBackend::backward(const BackwardArguments&, Stream) {
  fail(ErrorCode::unsupported, "gradients do not run on CUDA devices yet; use the device cpu for backward");
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

std::shared_ptr<Backend> open_cuda_backend(int ordinal, const ContextOptions& options) {
  return std::make_shared<CudaBackend>(std::make_shared<const CudaDevice>(ordinal, options));
}

}  // namespace flexgemm::detail
