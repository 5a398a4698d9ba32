#include "measuring_device.hpp"

#include <algorithm>

namespace flexgemm::bench {

std::unique_ptr<MeasuringDevice> open_measuring_device(Device device, int threads) {
  return device.is_cpu() ? open_measuring_cpu(threads) : open_measuring_gpu(device.ordinal());
}

int repetitions(const Repeat& repeat, double estimate_ms) noexcept {
  const double fitting = estimate_ms > 0 ? repeat.seconds * 1e3 / estimate_ms : repeat.most;
  return static_cast<int>(std::clamp<double>(fitting, repeat.least, std::max(repeat.least, repeat.most)));
}

}  // namespace flexgemm::bench
