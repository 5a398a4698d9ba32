#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <flexgemm/dtype.hpp>

#include "measuring_device.hpp"
#include "scenes.hpp"

namespace flexgemm::bench {

struct SuiteOptions {
  Device device = Device::cpu();
  bool quick = false;  ///< few repetitions: does it run?
  int threads = 0;     ///< of the CPU backend; 0: all
  std::vector<SceneRequest> scenes;
  std::vector<DType> dtypes;
  /// Write weight and bias gradients of 16-bit layers in float, as the documentation recommends, instead of
  /// in the layer's type, as the baseline does.
  bool float_gradients = false;
};

/// How often each kind of thing is measured in one round. Every row has two rounds.
struct Repeats {
  Repeat pass;
  Repeat map;
  Repeat network;
};
Repeats repeats_of(const SuiteOptions& options);

/// Measures every scene, type, layer and pass, and hands each row, as it is measured, to `add_row`: without
/// what depends on the ceilings and the baseline, which results.hpp adds. Passes that the device does not
/// serve have no row; `add_note` says so once. A row that failed for lack of memory or because its kernel did
/// not compile is a row with "failed". Other failures end the suite with an Error.
void run_suite(const SuiteOptions& options, MeasuringDevice& device,
               const std::function<void(nlohmann::ordered_json)>& add_row,
               const std::function<void(const std::string&)>& add_note);

}  // namespace flexgemm::bench
