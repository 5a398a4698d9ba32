#pragma once

#include <functional>
#include <optional>
#include <vector>

#include <cuda_runtime_api.h>

#include "measuring_device.hpp"

namespace flexgemm::bench {

/// Times work on one stream by events and by replayed graphs.
class GpuTimer {
 public:
  using ReadClock = std::function<std::optional<int>()>;

  explicit GpuTimer(cudaStream_t stream) noexcept : stream_(stream) {}

  /// Milliseconds a call of `samples` runs of `calls` calls each, all enqueued without waiting in between;
  /// three calls to warm up are left out.
  std::vector<double> back_to_back(const std::function<void()>& call, int samples, int calls) const;

  /// MeasuringDevice::measure_calls.
  std::vector<double> single_calls(const std::function<void()>& prepare, const std::function<void()>& call,
                                   const Repeat& repeat) const;

  /// MeasuringDevice::measure_pass.
  CallTimes pass(const std::function<void(int)>& call, int sets, const Repeat& repeat,
                 const ReadClock& read_clock) const;

 private:
  void time_graph(const std::function<void(int)>& call, int sets, double estimate_ms, const Repeat& repeat,
                  const ReadClock& read_clock, CallTimes& times) const;
  void time_eager(const std::function<void(int)>& call, int sets, double estimate_ms, const Repeat& repeat,
                  CallTimes& times) const;
  void synchronize() const;

  cudaStream_t stream_;
};

}  // namespace flexgemm::bench
