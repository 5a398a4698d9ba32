#include "cuda/cuda_device.hpp"

#include <array>
#include <cstring>

#include "core/fail.hpp"
#include "cuda/driver.hpp"
#include "cuda/pool_allocator.hpp"

namespace flexgemm::detail {

namespace {

constexpr std::size_t pinned_block_bytes = 256;

int attribute(CUdevice device, CUdevice_attribute which) {
  int value = 0;
  FLEXGEMM_DRIVER(cuDeviceGetAttribute, &value, which, device);
  return value;
}

/// Most callers have the context current already; asking is ten times cheaper than pushing and popping.
bool is_current(CUcontext context) noexcept {
  CUcontext current = nullptr;
  return driver().cuCtxGetCurrent(&current) == CUDA_SUCCESS && current == context;
}

}  // namespace

DeviceProperties properties_of(CUdevice device) {
  std::array<char, 256> name{};
  FLEXGEMM_DRIVER(cuDeviceGetName, name.data(), static_cast<int>(name.size()), device);
  return {.name = name.data(),
          .major = attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
          .minor = attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
          .multiprocessors = attribute(device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
          .memory_pools = attribute(device, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED) != 0};
}

codegen::Architecture architecture_of(const DeviceProperties& properties) {
  codegen::Architecture architecture;
  architecture.major = properties.major;
  architecture.minor = properties.minor;
  architecture.suffix = properties.major >= 9 ? 'a' : '\0';
  return architecture;
}

CudaDevice::CudaDevice(int ordinal, const ContextOptions& options) : ordinal_(ordinal) {
  if (!driver_problem().empty()) {
    fail(ErrorCode::no_device, "cuda:{} cannot be opened: {}; use the device cpu instead", ordinal,
         driver_problem());
  }
  int count = 0;
  FLEXGEMM_DRIVER(cuDeviceGetCount, &count);
  if (ordinal < 0 || ordinal >= count) {
    fail(ErrorCode::no_device, "cuda:{} does not exist: this machine has {} CUDA device{}, numbered from 0",
         ordinal, count, count == 1 ? "" : "s");
  }
  FLEXGEMM_DRIVER(cuDeviceGet, &device_, ordinal);
  properties_ = properties_of(device_);
  if (properties_.major * 10 + properties_.minor < least_compute_capability) {
    fail(ErrorCode::unsupported,
         "cuda:{} is {} with compute capability {}.{}; this library needs 7.5 (Turing) or newer: use the "
         "device cpu instead",
         ordinal, properties_.name, properties_.major, properties_.minor);
  }
  if (options.cuda_context != nullptr) {
    context_ = options.cuda_context;
    require_context_of_this_device();
  } else {
    FLEXGEMM_DRIVER(cuDevicePrimaryCtxRetain, &context_, device_);
    owns_context_ = true;
  }
  try {
    open_context(options.allocator);
  } catch (...) {
    close();
    throw;
  }
}

void CudaDevice::require_context_of_this_device() const {
  FLEXGEMM_DRIVER(cuCtxPushCurrent, context_);
  CUdevice device = 0;
  const CUresult result = driver().cuCtxGetDevice(&device);
  CUcontext popped = nullptr;
  driver().cuCtxPopCurrent(&popped);
  check_driver(result, "cuCtxGetDevice");
  if (device != device_) {
    fail(ErrorCode::invalid_argument,
         "ContextOptions::cuda_context belongs to the device cuda:{}, not to cuda:{} that is being opened",
         device, ordinal_);
  }
}

void CudaDevice::open_context(Allocator* allocator) {
  const ContextScope scope(*this);
  if (allocator == nullptr) {
    own_allocator_ = std::make_unique<PoolAllocator>(device_, properties_.memory_pools);
    allocator = own_allocator_.get();
  }
  memory_ = std::make_unique<DeviceMemory>(*allocator);
  FLEXGEMM_DRIVER(cuStreamCreate, &release_stream_, CU_STREAM_NON_BLOCKING);
}

CudaDevice::~CudaDevice() { close(); }

void CudaDevice::close() noexcept {
  if (context_ == nullptr) return;
  const Driver& api = driver();
  {
    const ContextScope scope(*this);
    for (void* block : pinned_blocks_) api.cuMemFreeHost(block);
    if (release_stream_ != nullptr) {
      api.cuStreamSynchronize(release_stream_);
      api.cuStreamDestroy(release_stream_);
    }
    memory_.reset();
    own_allocator_.reset();
  }
  if (owns_context_) api.cuDevicePrimaryCtxRelease(device_);
  context_ = nullptr;
}

std::string CudaDevice::description() const {
  return fmt::format("cuda:{}, {}, sm_{}{}, {} SMs{}", ordinal_, properties_.name, properties_.major,
                     properties_.minor, properties_.multiprocessors,
                     owns_context_ ? "" : ", in the caller's CUDA context");
}

void* CudaDevice::take_pinned_block() const {
  {
    const std::lock_guard lock(pinned_mutex_);
    if (!pinned_blocks_.empty()) {
      void* block = pinned_blocks_.back();
      pinned_blocks_.pop_back();
      return block;
    }
    pinned_blocks_.reserve(64);
  }
  void* block = nullptr;
  FLEXGEMM_DRIVER(cuMemAllocHost, &block, pinned_block_bytes);
  return block;
}

void CudaDevice::read_back(void* target, const void* source, std::size_t bytes, CUstream stream) const {
  if (bytes > pinned_block_bytes) {
    fail(ErrorCode::internal, "a read-back of {} bytes exceeds the {} of a pinned block", bytes,
         pinned_block_bytes);
  }
  void* block = take_pinned_block();
  CUresult result = driver().cuMemcpyDtoHAsync(block, reinterpret_cast<CUdeviceptr>(source), bytes, stream);
  const CUresult waited = driver().cuStreamSynchronize(stream);
  if (result == CUDA_SUCCESS) result = waited;
  if (result == CUDA_SUCCESS) std::memcpy(target, block, bytes);
  {
    const std::lock_guard lock(pinned_mutex_);
    pinned_blocks_.push_back(block);
  }
  check_driver(result, "a copy from the device");
}

ContextScope::ContextScope(const CudaDevice& device) noexcept
    : pushed_(!is_current(device.context()) && driver().cuCtxPushCurrent(device.context()) == CUDA_SUCCESS) {}

ContextScope::~ContextScope() {
  CUcontext popped = nullptr;
  if (pushed_) driver().cuCtxPopCurrent(&popped);
}

}  // namespace flexgemm::detail
