#pragma once

#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace flexgemm::bench {

/// Clocks, power and temperature by NVML, opened at run time. What cannot be read is absent.
class Nvml {
 public:
  /// For the GPU with that PCI bus id. Null if NVML or the GPU is not found there.
  static std::unique_ptr<Nvml> open(const std::string& pci_bus_id);
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  std::optional<std::string> driver_version() const;
  std::optional<int> multiprocessor_clock_mhz() const;
  /// All that is worth printing: clocks now and at most, watts, degrees, reasons of throttling.
  nlohmann::ordered_json state() const;

 private:
  struct Functions;
  Nvml();
  std::unique_ptr<Functions> functions_;
  void* device_ = nullptr;
};

}  // namespace flexgemm::bench
