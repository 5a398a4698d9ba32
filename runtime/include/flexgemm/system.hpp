#pragma once

#include <string>
#include <vector>

#include <flexgemm/export.hpp>

namespace flexgemm {

/// A GPU of this machine.
struct GpuInformation {
  int ordinal = 0;
  std::string name;          ///< "NVIDIA H200"
  std::string architecture;  ///< what its kernels are compiled for, such as "sm_90a"
  int multiprocessors = 0;
  std::string problem;  ///< why it cannot be used, as a clause; empty: it can
};

/// What this machine offers to the CUDA backend, and what it lacks. Problems are clauses, empty when all is
/// well.
struct SystemInformation {
  bool has_cuda_backend = false;  ///< whether this build of the library has one
  std::string driver_version;     ///< the newest CUDA that the driver supports, such as "13.0"
  std::string driver_problem;     ///< why there is no GPU to use
  std::vector<GpuInformation> gpus;
  std::string compiler_version;  ///< NVRTC's, such as "13.0"
  std::string compiler_problem;  ///< why kernels cannot be compiled; those in a cache or a pack still run
  std::vector<std::string> compiler_architectures;  ///< that NVRTC compiles for: "sm_80", ...
  std::string compile_worker;  ///< program that compiles in parallel; empty: kernels are compiled one by one
};

/// Looks. Loads the driver and NVRTC, opens no device, throws nothing but std::bad_alloc. Thread-safe.
FLEXGEMM_API SystemInformation system_information();

}  // namespace flexgemm
