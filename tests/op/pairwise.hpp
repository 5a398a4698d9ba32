#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace flexgemm::op_test {

/// One chosen level a factor.
using Levels = std::vector<int>;

/// The factors of an experiment and what a row of it costs.
struct Experiment {
  std::vector<int> level_counts;
  /// Least cost of a row whose undecided factors hold -1; infinity if no completion is allowed.
  std::function<double(const Levels&)> least_cost;
};

/// Rows in which any two allowed levels of any two factors meet at least once, cheap rows preferred. Greedy,
/// as AETG (Cohen, Dalal, Fredman, Patton 1997): a row starts from a pair that is still missing, and takes
/// factor by factor the level that adds most missing pairs. The same seed gives the same rows.
std::vector<Levels> pairwise_cover(const Experiment& experiment, std::uint64_t seed);

/// Pairs of levels that no row can hold, because every completion is forbidden: {factor, level, factor,
/// level}.
std::vector<std::vector<int>> impossible_pairs(const Experiment& experiment);

}  // namespace flexgemm::op_test
