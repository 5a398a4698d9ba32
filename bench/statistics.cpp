#include "statistics.hpp"

#include <algorithm>
#include <cmath>

namespace flexgemm::bench {

Summary summarize(std::vector<double> samples) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  const std::size_t middle = samples.size() / 2;
  const double median =
      samples.size() % 2 == 1 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
  return {median, samples.front(), samples.back(), static_cast<std::int64_t>(samples.size())};
}

double relative_difference(double a, double b) noexcept {
  const double smaller = std::min(a, b);
  return smaller > 0 ? std::abs(a - b) / smaller : 0;
}

}  // namespace flexgemm::bench
