#pragma once

#include <cstdint>
#include <vector>

namespace flexgemm::bench {

/// What is told of repeated measurements of one quantity.
struct Summary {
  double median = 0;
  double least = 0;
  double most = 0;
  std::int64_t samples = 0;
};

/// Of at least one sample; an even number of samples has the mean of the middle two as its median.
Summary summarize(std::vector<double> samples);

/// Difference of two medians relative to the smaller one: 0.02 for 1.00 and 1.02. 0 if one is not positive.
double relative_difference(double a, double b) noexcept;

}  // namespace flexgemm::bench
