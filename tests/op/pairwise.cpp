#include "op/pairwise.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

#include "op/random.hpp"

namespace flexgemm::op_test {

namespace {

/// Which pairs of levels still have to meet.
class MissingPairs {
 public:
  explicit MissingPairs(const std::vector<int>& level_counts) : counts_(level_counts) {
    offsets_.resize(counts_.size());
    std::exclusive_scan(counts_.begin(), counts_.end(), offsets_.begin(), 0);
    levels_ = static_cast<std::size_t>(offsets_.back() + counts_.back());
    missing_.assign(levels_ * levels_, false);
  }

  bool missing(int factor, int level, int other, int other_level) const {
    return missing_[index(factor, level, other, other_level)];
  }
  void set(int factor, int level, int other, int other_level, bool value) {
    missing_[index(factor, level, other, other_level)] = value;
    missing_[index(other, other_level, factor, level)] = value;
  }
  void remove_all_of(const Levels& row) {
    for (int factor = 0; factor < static_cast<int>(row.size()); ++factor) {
      for (int other = 0; other < factor; ++other) set(factor, row[at(factor)], other, row[at(other)], false);
    }
  }
  /// Missing pairs that the level would add to the factors already decided.
  int gain(const Levels& row, int factor, int level) const {
    int count = 0;
    for (int other = 0; other < static_cast<int>(row.size()); ++other) {
      if (other != factor && row[at(other)] >= 0) count += missing(factor, level, other, row[at(other)]);
    }
    return count;
  }

 private:
  static std::size_t at(int index) { return static_cast<std::size_t>(index); }
  std::size_t index(int factor, int level, int other, int other_level) const {
    return at(offsets_[at(factor)] + level) * levels_ + at(offsets_[at(other)] + other_level);
  }
  std::vector<int> counts_;
  std::vector<int> offsets_;
  std::size_t levels_ = 0;
  std::vector<bool> missing_;
};

/// Calls visit(factor, level, other, other_level) once for every pair of levels.
template <class Visit>
void for_each_pair(const std::vector<int>& counts, const Visit& visit) {
  for (int factor = 0; factor < static_cast<int>(counts.size()); ++factor) {
    for (int other = factor + 1; other < static_cast<int>(counts.size()); ++other) {
      for (int level = 0; level < counts[static_cast<std::size_t>(factor)]; ++level) {
        for (int other_level = 0; other_level < counts[static_cast<std::size_t>(other)]; ++other_level) {
          visit(factor, level, other, other_level);
        }
      }
    }
  }
}

double cost_of_pair(const Experiment& experiment, int factor, int level, int other, int other_level) {
  Levels row(experiment.level_counts.size(), -1);
  row[static_cast<std::size_t>(factor)] = level;
  row[static_cast<std::size_t>(other)] = other_level;
  return experiment.least_cost(row);
}

/// Decides the open factors of a row, in a random order.
void complete(const Experiment& experiment, const MissingPairs& missing, RandomSequence& random,
              Levels& row) {
  std::vector<int> order;
  for (int factor = 0; factor < static_cast<int>(row.size()); ++factor) {
    if (row[static_cast<std::size_t>(factor)] < 0) order.push_back(factor);
  }
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(i)))]);
  }
  for (const int factor : order) {
    int best = -1;
    int best_gain = -1;
    double best_cost = INFINITY;
    for (int level = 0; level < experiment.level_counts[static_cast<std::size_t>(factor)]; ++level) {
      row[static_cast<std::size_t>(factor)] = level;
      const double cost = experiment.least_cost(row);
      if (std::isinf(cost)) continue;
      const int gain = missing.gain(row, factor, level);
      if (gain > best_gain || (gain == best_gain && cost < best_cost)) {
        best = level;
        best_gain = gain;
        best_cost = cost;
      }
    }
    row[static_cast<std::size_t>(factor)] = best;
  }
}

}  // namespace

std::vector<std::vector<int>> impossible_pairs(const Experiment& experiment) {
  std::vector<std::vector<int>> pairs;
  for_each_pair(experiment.level_counts, [&](int factor, int level, int other, int other_level) {
    if (std::isinf(cost_of_pair(experiment, factor, level, other, other_level)))
      pairs.push_back({factor, level, other, other_level});
  });
  return pairs;
}

std::vector<Levels> pairwise_cover(const Experiment& experiment, std::uint64_t seed) {
  RandomSequence random(seed);
  MissingPairs missing(experiment.level_counts);
  struct Pair {
    int factor, level, other, other_level;
    double cost;
  };
  std::vector<Pair> open;
  for_each_pair(experiment.level_counts, [&](int factor, int level, int other, int other_level) {
    const double cost = cost_of_pair(experiment, factor, level, other, other_level);
    if (std::isinf(cost)) return;
    missing.set(factor, level, other, other_level, true);
    open.push_back({factor, level, other, other_level, cost});
  });
  // Dear pairs first: the rows they force cover cheap pairs on the way, not the other way round.
  std::stable_sort(open.begin(), open.end(), [](const Pair& a, const Pair& b) { return a.cost > b.cost; });

  std::vector<Levels> rows;
  for (const Pair& pair : open) {
    if (!missing.missing(pair.factor, pair.level, pair.other, pair.other_level)) continue;
    Levels row(experiment.level_counts.size(), -1);
    row[static_cast<std::size_t>(pair.factor)] = pair.level;
    row[static_cast<std::size_t>(pair.other)] = pair.other_level;
    complete(experiment, missing, random, row);
    missing.remove_all_of(row);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace flexgemm::op_test
