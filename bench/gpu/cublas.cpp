#include "gpu/cublas.hpp"

#include <array>
#include <cstdlib>
#include <vector>

#include <cublas_v2.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <flexgemm/error.hpp>

namespace flexgemm::bench {

struct Cublas::Functions {
  decltype(&cublasCreate_v2) create = nullptr;
  decltype(&cublasDestroy_v2) destroy = nullptr;
  decltype(&cublasSetStream_v2) set_stream = nullptr;
  decltype(&cublasGetVersion_v2) get_version = nullptr;
  // Not decltype(&cublasGemmEx): C++ has an overload of that name.
  cublasStatus_t (*gemm_ex)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int, const void*,
                            const void*, cudaDataType, int, const void*, cudaDataType, int, const void*,
                            void*, cudaDataType, int, cublasComputeType_t, cublasGemmAlgo_t) = nullptr;
};

namespace {

constexpr std::array library_names{"libcublas.so.13", "libcublas.so.12"};
// cuBLAS needs it, and finds it only where the loader looks.
constexpr std::array companion_names{"libcublasLt.so.13", "libcublasLt.so.12"};

std::vector<std::string> toolkit_folders() {
  std::vector<std::string> folders;
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
    const char* home = std::getenv(variable);
    if (home != nullptr && *home != '\0') folders.push_back(fmt::format("{}/lib64", home));
  }
  folders.emplace_back("/usr/local/cuda/lib64");
  return folders;
}

void* open_library() {
  for (const char* name : library_names) {
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL); library != nullptr) return library;
  }
  for (const std::string& folder : toolkit_folders()) {
    for (std::size_t i = 0; i < library_names.size(); ++i) {
      dlopen(fmt::format("{}/{}", folder, companion_names[i]).c_str(), RTLD_NOW | RTLD_GLOBAL);
      void* library = dlopen(fmt::format("{}/{}", folder, library_names[i]).c_str(), RTLD_NOW | RTLD_LOCAL);
      if (library != nullptr) return library;
    }
  }
  return nullptr;
}

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

}  // namespace

Cublas::Cublas() : functions_(std::make_unique<Functions>()) {}

Cublas::~Cublas() {
  if (handle_ != nullptr) functions_->destroy(static_cast<cublasHandle_t>(handle_));
}

std::unique_ptr<Cublas> Cublas::open(cudaStream_t stream, std::string& problem) {
  void* library = open_library();
  if (library == nullptr) {
    problem =
        "no matrix ceilings: libcublas.so.13 or .12 was not found where the loader looks, in "
        "$CUDA_HOME/lib64, "
        "$CUDA_PATH/lib64 or /usr/local/cuda/lib64; install cuBLAS or set LD_LIBRARY_PATH";
    return nullptr;
  }
  std::unique_ptr<Cublas> cublas(new Cublas);
  Functions& functions = *cublas->functions_;
  if (!find(library, "cublasCreate_v2", functions.create) ||
      !find(library, "cublasDestroy_v2", functions.destroy) ||
      !find(library, "cublasSetStream_v2", functions.set_stream) ||
      !find(library, "cublasGetVersion_v2", functions.get_version) ||
      !find(library, "cublasGemmEx", functions.gemm_ex)) {
    problem = "no matrix ceilings: the cuBLAS that was found lacks functions of version 12";
    return nullptr;
  }
  cublasHandle_t handle = nullptr;
  cublasStatus_t status = functions.create(&handle);
  if (status == CUBLAS_STATUS_SUCCESS) {
    cublas->handle_ = handle;
    status = functions.set_stream(handle, stream);
  }
  if (status != CUBLAS_STATUS_SUCCESS) {
    problem = fmt::format("no matrix ceilings: cuBLAS could not start (status {})", static_cast<int>(status));
    return nullptr;
  }
  int version = 0;
  if (functions.get_version(handle, &version) == CUBLAS_STATUS_SUCCESS)
    cublas->version_ = fmt::format("{}", version);
  return cublas;
}

void Cublas::multiply(DType dtype, int extent, const void* a, const void* b, void* c) const {
  const float one = 1;
  const float zero = 0;
  cudaDataType type = CUDA_R_32F;
  if (dtype == DType::f16) type = CUDA_R_16F;
  if (dtype == DType::bf16) type = CUDA_R_16BF;
  const cublasComputeType_t compute =
      dtype == DType::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  const cublasStatus_t status = functions_->gemm_ex(
      static_cast<cublasHandle_t>(handle_), CUBLAS_OP_N, CUBLAS_OP_N, extent, extent, extent, &one, a, type,
      extent, b, type, extent, &zero, c, type, extent, compute, CUBLAS_GEMM_DEFAULT);
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw Error(ErrorCode::driver,
                fmt::format("cublasGemmEx failed with status {} for a {} product of {} rows",
                            static_cast<int>(status), name(dtype), extent));
  }
}

}  // namespace flexgemm::bench
