#pragma once

#include <cstdint>

#include "cuda/row_order.hpp"

namespace flexgemm::detail {

/// Position, in the sequence of Gray codes, of those bits of a mask that are in `group`, taken in the order
/// of their significance: a bit of the position is the parity of the mask's bits up to it.
__device__ inline std::uint32_t gray_rank(std::uint32_t mask, std::uint32_t group,
                                          const MaskOffsets& offsets) {
  std::uint32_t rank = 0;
  std::uint32_t parity = 0;
  for (int i = 0; i < offsets.count - 1; ++i) {
    const int bit = offsets.significance[i];
    if (((group >> bit) & 1u) == 0) continue;
    parity ^= (mask >> bit) & 1u;
    rank = (rank << 1) | parity;
  }
  return rank;
}

}  // namespace flexgemm::detail
