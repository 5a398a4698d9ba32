#pragma once

#include <string>

#include <cuda.h>

namespace flexgemm::detail {

// Every driver function that the library calls. <cuda.h> maps the names to their versioned symbols
// (cuMemAlloc to cuMemAlloc_v2), so the table's members and the symbols looked up agree with the header.
#define FLEXGEMM_DRIVER_FUNCTIONS(X) \
  X(cuInit)                          \
  X(cuDriverGetVersion)              \
  X(cuGetErrorName)                  \
  X(cuGetErrorString)                \
  X(cuDeviceGetCount)                \
  X(cuDeviceGet)                     \
  X(cuDeviceGetName)                 \
  X(cuDeviceGetAttribute)            \
  X(cuDevicePrimaryCtxRetain)        \
  X(cuDevicePrimaryCtxRelease)       \
  X(cuCtxGetCurrent)                 \
  X(cuCtxPushCurrent)                \
  X(cuCtxPopCurrent)                 \
  X(cuCtxGetDevice)                  \
  X(cuCtxSynchronize)                \
  X(cuMemAlloc)                      \
  X(cuMemFree)                       \
  X(cuMemPoolCreate)                 \
  X(cuMemPoolDestroy)                \
  X(cuMemPoolSetAttribute)           \
  X(cuMemPoolTrimTo)                 \
  X(cuMemAllocFromPoolAsync)         \
  X(cuMemFreeAsync)                  \
  X(cuMemAllocHost)                  \
  X(cuMemFreeHost)                   \
  X(cuMemcpyHtoDAsync)               \
  X(cuMemsetD32Async)                \
  X(cuMemcpyDtoHAsync)               \
  X(cuStreamCreate)                  \
  X(cuStreamDestroy)                 \
  X(cuStreamSynchronize)             \
  X(cuStreamWaitEvent)               \
  X(cuStreamIsCapturing)             \
  X(cuEventCreate)                   \
  X(cuEventDestroy)                  \
  X(cuEventRecord)                   \
  X(cuEventQuery)                    \
  X(cuEventSynchronize)              \
  X(cuEventElapsedTime)              \
  X(cuModuleLoadDataEx)              \
  X(cuModuleUnload)                  \
  X(cuModuleGetFunction)             \
  X(cuFuncGetAttribute)              \
  X(cuFuncSetAttribute)              \
  X(cuLaunchKernel)                  \
  X(cuTensorMapEncodeTiled)          \
  X(cuTensorMapReplaceAddress)

/// The driver's entry points, found with dlopen and dlsym: nothing of libcuda is linked.
struct Driver {
#define FLEXGEMM_DRIVER_MEMBER(function) decltype(&::function) function = nullptr;
  FLEXGEMM_DRIVER_FUNCTIONS(FLEXGEMM_DRIVER_MEMBER)
#undef FLEXGEMM_DRIVER_MEMBER
};

/// Whether the driver's library can be loaded: answered before it has started, which takes much longer and
/// may still fail. Thread-safe.
bool driver_is_installed();

/// Why no CUDA device can be used on this machine, as a clause ("no NVIDIA driver was found: ..."); empty
/// when the driver is loaded, initialized, new enough and sees a device. Loads the driver on the first call.
/// Thread-safe.
const std::string& driver_problem();

/// The loaded driver. Throws Error{no_device} with driver_problem() if there is none. Thread-safe.
const Driver& driver();

/// Throws Error{out_of_memory} or Error{driver} naming the call, the error and its text, unless `result` is
/// CUDA_SUCCESS.
void check_driver(CUresult result, const char* call);

/// Calls a driver function and checks its result.
#define FLEXGEMM_DRIVER(function, ...) \
  ::flexgemm::detail::check_driver(::flexgemm::detail::driver().function(__VA_ARGS__), #function)

}  // namespace flexgemm::detail
