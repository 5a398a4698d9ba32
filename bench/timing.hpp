#pragma once

#include <cstdint>
#include <functional>

namespace flexgemm::bench {

/// Wall-clock times of repeated calls, milliseconds.
struct Timing {
  double median_ms = 0;
  double min_ms = 0;
  double max_ms = 0;
  std::int64_t repetitions = 0;
};

struct RepeatOptions {
  std::int64_t least = 5;
  std::int64_t most = 50;
  double seconds = 2;  ///< no further repetition is begun after so long, once there are `least`
};

/// Calls once to warm up, then repeatedly.
Timing measure(const RepeatOptions& options, const std::function<void()>& call);

}  // namespace flexgemm::bench
