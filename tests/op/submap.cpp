#include "op/submap.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <set>
#include <unordered_map>

#include "op/random.hpp"

namespace flexgemm::op_test {

namespace {

/// Numbers rows in the order in which they are met.
class Numbering {
 public:
  explicit Numbering(std::vector<std::int64_t>& rows) : rows_(rows) {}
  std::int32_t of(std::int64_t row) {
    const auto [entry, added] = numbers_.emplace(row, static_cast<std::int32_t>(rows_.size()));
    if (added) rows_.push_back(row);
    return entry->second;
  }

 private:
  std::vector<std::int64_t>& rows_;
  std::unordered_map<std::int64_t, std::int32_t> numbers_;
};

void pad(Submap& submap) {
  submap.rows = static_cast<std::int64_t>(std::max(submap.inputs.size(), submap.outputs.size()));
  submap.indices.resize(static_cast<std::size_t>(submap.rows * submap.volume), -1);
}

}  // namespace

Submap submap_of_outputs(const reference::MapView& map, const std::vector<std::int64_t>& selected) {
  Submap submap;
  submap.volume = map.volume;
  submap.outputs = selected;
  Numbering inputs(submap.inputs);
  for (const std::int64_t n : selected) {
    for (std::int64_t v = 0; v < map.volume; ++v) {
      const std::int32_t m = map.indices[n * map.volume + v];
      submap.indices.push_back(m < 0 ? -1 : inputs.of(m));
    }
  }
  pad(submap);
  return submap;
}

Submap submap_of_inputs(const reference::MapView& map, const std::vector<std::int64_t>& selected) {
  Submap submap;
  submap.volume = map.volume;
  submap.inputs = selected;
  std::vector<std::int32_t> number_of_input(static_cast<std::size_t>(map.rows), -1);
  for (std::size_t i = 0; i < selected.size(); ++i) {
    number_of_input[static_cast<std::size_t>(selected[i])] = static_cast<std::int32_t>(i);
  }
  for (std::int64_t n = 0; n < map.rows; ++n) {
    bool reads_any = false;
    for (std::int64_t v = 0; v < map.volume; ++v) {
      const std::int32_t m = map.indices[n * map.volume + v];
      if (m < 0 || number_of_input[static_cast<std::size_t>(m)] < 0) continue;
      if (!reads_any) {
        reads_any = true;
        submap.outputs.push_back(n);
        submap.indices.resize(submap.outputs.size() * static_cast<std::size_t>(map.volume), -1);
      }
      submap.indices[(submap.outputs.size() - 1) * static_cast<std::size_t>(map.volume) +
                     static_cast<std::size_t>(v)] = number_of_input[static_cast<std::size_t>(m)];
    }
  }
  pad(submap);
  return submap;
}

std::vector<std::int64_t> sample_of(std::int64_t limit, std::int64_t count, std::uint64_t seed) {
  if (count >= limit) {
    std::vector<std::int64_t> all(static_cast<std::size_t>(limit));
    std::iota(all.begin(), all.end(), std::int64_t{0});
    return all;
  }
  std::set<std::int64_t> chosen{0};
  if (count > 1) chosen.insert(limit - 1);
  RandomSequence random(seed);
  while (static_cast<std::int64_t>(chosen.size()) < count) chosen.insert(random.below(limit));
  return {chosen.begin(), chosen.end()};
}

}  // namespace flexgemm::op_test
