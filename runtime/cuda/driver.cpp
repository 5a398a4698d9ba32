#include "cuda/driver.hpp"

#include <array>

#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <flexgemm/device.hpp>

#include "core/fail.hpp"

namespace flexgemm {

namespace detail {

namespace {

constexpr std::array driver_names{"libcuda.so.1", "libcuda.so"};

/// The kernels of this library are linked against a static CUDA runtime, which needs a driver of at least
/// its own major version.
constexpr int least_driver_version = CUDART_VERSION / 1000 * 1000;

struct LoadedDriver {
  Driver table;
  std::string problem;
};

std::string version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

std::string error_text(const Driver& table, CUresult result) {
  const char* name = nullptr;
  const char* text = nullptr;
  if (table.cuGetErrorName(result, &name) != CUDA_SUCCESS || name == nullptr) name = "an unknown error";
  if (table.cuGetErrorString(result, &text) != CUDA_SUCCESS || text == nullptr) text = "no description";
  return fmt::format("{} ({}): {}", name, static_cast<int>(result), text);
}

/// The name of the first symbol that the library lacks, or nullptr.
const char* find_functions(void* library, Driver& table) {
#define FLEXGEMM_TEXT_OF(x) #x
#define FLEXGEMM_TEXT(x) FLEXGEMM_TEXT_OF(x)
#define FLEXGEMM_DRIVER_FIND(function)                                                                  \
  table.function = reinterpret_cast<decltype(table.function)>(dlsym(library, FLEXGEMM_TEXT(function))); \
  if (table.function == nullptr) return FLEXGEMM_TEXT(function);
  FLEXGEMM_DRIVER_FUNCTIONS(FLEXGEMM_DRIVER_FIND)
#undef FLEXGEMM_DRIVER_FIND
#undef FLEXGEMM_TEXT
#undef FLEXGEMM_TEXT_OF
  return nullptr;
}

/// Opens the driver's library and finds its functions. The problem with it, or an empty string.
std::string open_driver(Driver& table) {
  void* library = nullptr;
  std::string attempts;
  for (const char* name : driver_names) {
    library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) break;
    const char* reason = dlerror();  // NOLINT(concurrency-mt-unsafe): thread-local in glibc
    attempts += fmt::format("{}{}", attempts.empty() ? "" : "; ", reason != nullptr ? reason : name);
  }
  if (library == nullptr) {
    return fmt::format("no NVIDIA driver was found in the loader's search path ({})", attempts);
  }
  if (const char* missing = find_functions(library, table); missing != nullptr) {
    return fmt::format("the NVIDIA driver is too old: it lacks {}; update it to one for CUDA {} or newer",
                       missing, version_text(least_driver_version));
  }
  return {};
}

/// Starts a driver that was opened. The problem with it, or an empty string.
std::string start_driver(const Driver& table) {
  int version = 0;
  if (table.cuDriverGetVersion(&version) == CUDA_SUCCESS && version < least_driver_version) {
    return fmt::format("the NVIDIA driver is too old: it supports CUDA {} and this build needs {} or newer",
                       version_text(version), version_text(least_driver_version));
  }
  const CUresult initialized = table.cuInit(0);
  if (initialized == CUDA_ERROR_NO_DEVICE) return "the NVIDIA driver is loaded but sees no GPU";
  if (initialized != CUDA_SUCCESS) {
    return fmt::format("the NVIDIA driver cannot start: cuInit failed with {}",
                       error_text(table, initialized));
  }
  int count = 0;
  if (table.cuDeviceGetCount(&count) != CUDA_SUCCESS || count == 0) {
    return "the NVIDIA driver is loaded but sees no GPU (is CUDA_VISIBLE_DEVICES set to hide it?)";
  }
  return {};
}

const LoadedDriver& opened_driver() {
  static const LoadedDriver opened = [] {
    LoadedDriver result;
    result.problem = open_driver(result.table);
    return result;
  }();
  return opened;
}

const LoadedDriver& loaded_driver() {
  static const LoadedDriver loaded = [] {
    LoadedDriver result = opened_driver();
    if (result.problem.empty()) result.problem = start_driver(result.table);
    return result;
  }();
  return loaded;
}

}  // namespace

bool driver_is_installed() { return opened_driver().problem.empty(); }

const std::string& driver_problem() { return loaded_driver().problem; }

const Driver& driver() {
  const LoadedDriver& loaded = loaded_driver();
  if (!loaded.problem.empty()) {
    fail(ErrorCode::no_device, "CUDA is not available: {}; use the device cpu instead", loaded.problem);
  }
  return loaded.table;
}

void check_driver(CUresult result, const char* call) {
  if (result == CUDA_SUCCESS) return;
  const std::string text = error_text(driver(), result);
  if (result == CUDA_ERROR_OUT_OF_MEMORY) {
    fail(ErrorCode::out_of_memory, "{} failed with {}; free device memory or use smaller inputs", call, text);
  }
  fail(ErrorCode::driver, "{} failed with {}", call, text);
}

}  // namespace detail

int cuda_device_count() noexcept {
  try {
    if (!detail::driver_problem().empty()) return 0;
    int count = 0;
    return detail::driver().cuDeviceGetCount(&count) == CUDA_SUCCESS ? count : 0;
  } catch (...) {  // out of host memory while composing the problem
    return 0;
  }
}

}  // namespace flexgemm
