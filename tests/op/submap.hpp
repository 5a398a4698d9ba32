#pragma once

#include <cstdint>
#include <vector>

#include "reference/reference.hpp"

namespace flexgemm::op_test {

/// The part of a map that a few rows of a result depend on, with its rows renumbered, so that checking a
/// sample of a large result costs little memory.
struct Submap {
  std::vector<std::int32_t> indices;  ///< [rows, volume]
  std::int64_t rows = 0;              ///< the larger of both counts below; excess rows have no neighbors
  int volume = 0;
  std::vector<std::int64_t> inputs;   ///< row of the full map behind each input row
  std::vector<std::int64_t> outputs;  ///< row of the full map behind each output row

  reference::MapView view() const noexcept { return {indices.data(), rows, volume}; }
};

/// What the output rows `selected` read: outputs == selected.
Submap submap_of_outputs(const reference::MapView& map, const std::vector<std::int64_t>& selected);

/// What the gradient of the input rows `selected` reads: inputs == selected.
Submap submap_of_inputs(const reference::MapView& map, const std::vector<std::int64_t>& selected);

/// `count` different numbers in [0, limit), in order, with the first and the last among them; all of them if
/// count >= limit.
std::vector<std::int64_t> sample_of(std::int64_t limit, std::int64_t count, std::uint64_t seed);

}  // namespace flexgemm::op_test
