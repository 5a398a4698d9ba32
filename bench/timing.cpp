#include "timing.hpp"

#include <algorithm>
#include <chrono>
#include <vector>

namespace flexgemm::bench {

Timing measure(const RepeatOptions& options, const std::function<void()>& call) {
  using Clock = std::chrono::steady_clock;
  using Milliseconds = std::chrono::duration<double, std::milli>;
  call();
  std::vector<double> times;
  double total_ms = 0;
  while (static_cast<std::int64_t>(times.size()) < options.least ||
         (static_cast<std::int64_t>(times.size()) < options.most && total_ms < options.seconds * 1e3)) {
    const auto start = Clock::now();
    call();
    times.push_back(Milliseconds(Clock::now() - start).count());
    total_ms += times.back();
  }
  std::sort(times.begin(), times.end());
  const std::size_t middle = times.size() / 2;
  const double median = times.size() % 2 == 1 ? times[middle] : (times[middle - 1] + times[middle]) / 2;
  return {median, times.front(), times.back(), static_cast<std::int64_t>(times.size())};
}

}  // namespace flexgemm::bench
