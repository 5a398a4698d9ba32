#include "gpu/nvml.hpp"

#include <array>

#include <dlfcn.h>
#include <fmt/format.h>

namespace flexgemm::bench {

// NVML's header is not part of every toolkit; these few entry points have been stable since CUDA 5.
struct Nvml::Functions {
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*handle_by_pci_bus_id)(const char*, void**) = nullptr;
  int (*driver_version)(char*, unsigned) = nullptr;
  int (*clock)(void*, int, unsigned*) = nullptr;
  int (*max_clock)(void*, int, unsigned*) = nullptr;
  int (*power_milliwatts)(void*, unsigned*) = nullptr;
  int (*temperature)(void*, int, unsigned*) = nullptr;
  int (*throttle_reasons)(void*, unsigned long long*) = nullptr;
};

namespace {

constexpr int success = 0;
constexpr int clock_of_multiprocessors = 1;  // NVML_CLOCK_SM
constexpr int clock_of_memory = 2;           // NVML_CLOCK_MEM
constexpr int temperature_of_gpu = 0;        // NVML_TEMPERATURE_GPU

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

}  // namespace

Nvml::Nvml() : functions_(std::make_unique<Functions>()) {}

Nvml::~Nvml() {
  if (device_ != nullptr) functions_->shutdown();
}

std::unique_ptr<Nvml> Nvml::open(const std::string& pci_bus_id) {
  void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return nullptr;
  std::unique_ptr<Nvml> nvml(new Nvml);
  Functions& functions = *nvml->functions_;
  if (!find(library, "nvmlInit_v2", functions.init) || !find(library, "nvmlShutdown", functions.shutdown) ||
      !find(library, "nvmlDeviceGetHandleByPciBusId_v2", functions.handle_by_pci_bus_id) ||
      !find(library, "nvmlSystemGetDriverVersion", functions.driver_version) ||
      !find(library, "nvmlDeviceGetClockInfo", functions.clock) ||
      !find(library, "nvmlDeviceGetMaxClockInfo", functions.max_clock) ||
      !find(library, "nvmlDeviceGetPowerUsage", functions.power_milliwatts) ||
      !find(library, "nvmlDeviceGetTemperature", functions.temperature) || functions.init() != success) {
    return nullptr;
  }
  find(library, "nvmlDeviceGetCurrentClocksThrottleReasons", functions.throttle_reasons);
  if (functions.handle_by_pci_bus_id(pci_bus_id.c_str(), &nvml->device_) != success ||
      nvml->device_ == nullptr) {
    nvml->device_ = nullptr;
    functions.shutdown();
    return nullptr;
  }
  return nvml;
}

std::optional<std::string> Nvml::driver_version() const {
  std::array<char, 96> text{};
  if (functions_->driver_version(text.data(), static_cast<unsigned>(text.size())) != success)
    return std::nullopt;
  return std::string(text.data());
}

std::optional<int> Nvml::multiprocessor_clock_mhz() const {
  unsigned megahertz = 0;
  if (functions_->clock(device_, clock_of_multiprocessors, &megahertz) != success) return std::nullopt;
  return static_cast<int>(megahertz);
}

nlohmann::ordered_json Nvml::state() const {
  nlohmann::ordered_json state = nlohmann::ordered_json::object();
  unsigned value = 0;
  const Functions& f = *functions_;
  if (f.clock(device_, clock_of_multiprocessors, &value) == success) state["sm_mhz"] = value;
  if (f.max_clock(device_, clock_of_multiprocessors, &value) == success) state["sm_max_mhz"] = value;
  if (f.clock(device_, clock_of_memory, &value) == success) state["memory_mhz"] = value;
  if (f.power_milliwatts(device_, &value) == success) state["watts"] = value / 1000.0;
  if (f.temperature(device_, temperature_of_gpu, &value) == success) state["celsius"] = value;
  unsigned long long reasons = 0;
  if (f.throttle_reasons != nullptr && f.throttle_reasons(device_, &reasons) == success)
    state["throttle_reasons"] = fmt::format("{:#x}", reasons);
  return state;
}

}  // namespace flexgemm::bench
