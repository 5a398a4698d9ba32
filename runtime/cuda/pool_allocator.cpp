#include "cuda/pool_allocator.hpp"

#include <cstdint>
#include <limits>

#include "cuda/driver.hpp"

namespace flexgemm::detail {

PoolAllocator::PoolAllocator(CUdevice device, bool pools_supported) {
  if (!pools_supported) return;
  CUmemPoolProps properties{};
  properties.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.handleTypes = CU_MEM_HANDLE_TYPE_NONE;
  properties.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  properties.location.id = device;
  FLEXGEMM_DRIVER(cuMemPoolCreate, &pool_, &properties);
  std::uint64_t threshold = std::numeric_limits<std::uint64_t>::max();
  if (const CUresult result =
          driver().cuMemPoolSetAttribute(pool_, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &threshold);
      result != CUDA_SUCCESS) {
    driver().cuMemPoolDestroy(pool_);
    check_driver(result, "cuMemPoolSetAttribute");
  }
}

PoolAllocator::~PoolAllocator() {
  if (pool_ != nullptr) driver().cuMemPoolDestroy(pool_);
}

void* PoolAllocator::allocate(std::size_t bytes, Stream stream) noexcept {
  const Driver& api = driver();
  CUdeviceptr pointer = 0;
  CUresult result = CUDA_SUCCESS;
  if (pool_ == nullptr) {
    result = api.cuMemAlloc(&pointer, bytes);
  } else {
    result = api.cuMemAllocFromPoolAsync(&pointer, bytes, pool_, stream.handle());
    if (result ==
        CUDA_ERROR_OUT_OF_MEMORY) {  // return what is cached in pieces of other sizes, and try again
      api.cuCtxSynchronize();
      api.cuMemPoolTrimTo(pool_, 0);
      result = api.cuMemAllocFromPoolAsync(&pointer, bytes, pool_, stream.handle());
    }
  }
  return result == CUDA_SUCCESS ? reinterpret_cast<void*>(pointer) : nullptr;
}

void PoolAllocator::deallocate(void* pointer, std::size_t, Stream stream) noexcept {
  const auto address = reinterpret_cast<CUdeviceptr>(pointer);
  if (pool_ == nullptr) {
    driver().cuMemFree(address);  // waits for the device, so work on any stream may still use the block
  } else {
    driver().cuMemFreeAsync(address, stream.handle());
  }
}

}  // namespace flexgemm::detail
