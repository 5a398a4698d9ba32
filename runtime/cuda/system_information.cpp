
#include <flexgemm/system.hpp>

#include "codegen/kernel_spec.hpp"
#include "core/fail.hpp"
#include "cuda/cuda_device.hpp"
#include "cuda/driver.hpp"
#include "cuda/nvrtc.hpp"
#include "tuner/compile_pool.hpp"

namespace flexgemm {

using namespace detail;

namespace {

GpuInformation look_at(int ordinal) {
  GpuInformation gpu;
  gpu.ordinal = ordinal;
  try {
    CUdevice device = 0;
    FLEXGEMM_DRIVER(cuDeviceGet, &device, ordinal);
    const DeviceProperties properties = properties_of(device);
    gpu.name = properties.name;
    gpu.multiprocessors = properties.multiprocessors;
    gpu.architecture = codegen::to_string(architecture_of(properties));
    if (properties.major * 10 + properties.minor < least_compute_capability) {
      gpu.problem =
          fmt::format("its compute capability {}.{} is below 7.5 (Turing), the least that is supported",
                      properties.major, properties.minor);
    }
  } catch (const Error& error) {
    gpu.problem = error.what();
  }
  return gpu;
}

}  // namespace

SystemInformation system_information() {
  SystemInformation information;
  information.has_cuda_backend = true;
  information.driver_problem = driver_problem();
  if (information.driver_problem.empty()) {
    int version = 0;
    int count = 0;
    if (driver().cuDriverGetVersion(&version) == CUDA_SUCCESS) {
      information.driver_version = fmt::format("{}.{}", version / 1000, version % 1000 / 10);
    }
    if (driver().cuDeviceGetCount(&count) != CUDA_SUCCESS) count = 0;
    for (int ordinal = 0; ordinal < count; ++ordinal) information.gpus.push_back(look_at(ordinal));
  }
  information.compiler_problem = nvrtc_problem();
  information.compiler_version = nvrtc_version();
  for (const int number : nvrtc_architectures()) {
    information.compiler_architectures.push_back(fmt::format("sm_{}", number));
  }
  information.compile_worker = compile_worker_path();
  return information;
}

}  // namespace flexgemm
