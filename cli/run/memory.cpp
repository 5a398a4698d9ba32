#include "run/memory.hpp"

#include <algorithm>
#include <fstream>
#include <limits>

#include <fmt/ranges.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/failure.hpp"

namespace flexgemm::run {

using namespace cli;

std::size_t process_peak_bytes() noexcept {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

double machine_bytes() {
  const double pages = static_cast<double>(sysconf(_SC_PHYS_PAGES));
  double bytes = pages * static_cast<double>(sysconf(_SC_PAGESIZE));
  for (const char* limit : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    double value = 0;
    if (std::ifstream(limit) >> value && value > 0) bytes = std::min(bytes, value);  // "max" is no number
  }
  return bytes > 0 ? bytes : std::numeric_limits<double>::infinity();
}

double estimated_bytes(const Footprint& footprint) {
  const auto voxels = static_cast<double>(footprint.voxels);
  const auto volume = static_cast<double>(footprint.volume);
  const auto element = static_cast<double>(size_of(footprint.dtype));
  const double copies = footprint.on_host ? 2 : 1;  // the caller's, and the device's
  const double coordinates = voxels * 4 * sizeof(std::int32_t);
  const double map = voxels * volume * sizeof(std::int32_t);
  double widest = 0;
  double weight = 0;
  for (std::size_t layer = 0; layer < footprint.channels.size(); ++layer) {
    const auto channels = static_cast<double>(footprint.channels[layer]);
    widest = std::max(widest, channels);
    if (layer == 0) continue;
    const double elements = channels * volume * static_cast<double>(footprint.channels[layer - 1]);
    weight = std::max(
        weight, elements * (sizeof(float) + copies * element + (footprint.verify ? sizeof(double) : 0)));
  }
  const double features = voxels * widest * element;
  const double device = footprint.on_host ? coordinates + 2 * features + map : 0;
  const double host = coordinates + features + (footprint.verify ? map + 2 * features : 0);
  return device + host + weight;
}

void require_memory(const Footprint& footprint, double available) {
  const double needed = estimated_bytes(footprint);
  if (needed <= available) return;
  constexpr double gibibyte = 0x1p30;
  const std::string on_voxels = footprint.voxels == 0 ? "" : fmt::format(" on {} voxels", footprint.voxels);
  fail(ErrorCode::invalid_argument,
       "layers of {} channels with {} kernel offsets{} need at least {:.1f} GiB of memory but this machine "
       "has "
       "{:.1f} GiB; use fewer channels, a smaller kernel or larger voxels",
       fmt::join(footprint.channels.begin() + 1, footprint.channels.end(), ","), footprint.volume, on_voxels,
       needed / gibibyte, available / gibibyte);
}

}  // namespace flexgemm::run
