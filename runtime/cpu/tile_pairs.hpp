#pragma once

#include <cstdint>

#include "cpu/gather_problem.hpp"
#include "cpu/host_buffer.hpp"

namespace flexgemm::detail {

/// Pairs of one offset within a tile: the output row's place in the tile and the input row, -1 for a row of
/// zeros.
struct PairList {
  const std::int32_t* slots;
  const std::int32_t* rows;
  std::int64_t count;
};

/// For each offset of a range, the pairs that end in a tile's rows; scratch memory of one worker, reused for
/// tile after tile.
class TilePairs {
 public:
  TilePairs(DeviceMemory& memory, std::int64_t tile_rows, int volume)
      : stride_(tile_rows + 16),  // not a power of two: the lists would share few cache sets
        slots_(memory, stride_ * volume),
        rows_(memory, stride_ * volume),
        counts_(memory, volume) {}

  /// Offsets [first_offset, last_offset) of the map's rows [first_row, first_row + rows), the pairs that
  /// exist.
  void collect_masked(const std::int32_t* indices, int volume, std::int64_t first_row, std::int64_t rows,
                      int first_offset, int last_offset) noexcept {
    std::int32_t* counts = counts_.data();
    for (int v = first_offset; v < last_offset; ++v) counts[v] = 0;
    for (std::int64_t slot = 0; slot < rows; ++slot) {
      const std::int32_t* own = indices + (first_row + slot) * volume;
      for (int v = first_offset; v < last_offset; ++v) {
        // Written whether or not the pair exists and counted if it does: no branch to mispredict.
        const std::int64_t place = v * stride_ + counts[v];
        slots_[place] = static_cast<std::int32_t>(slot);
        rows_[place] = own[v];
        counts[v] += own[v] >= 0 ? 1 : 0;
      }
    }
  }

  /// The same with every row in every list.
  void collect_all(const std::int32_t* indices, int volume, std::int64_t first_row, std::int64_t rows,
                   int first_offset, int last_offset) noexcept {
    for (int v = first_offset; v < last_offset; ++v) counts_[v] = static_cast<std::int32_t>(rows);
    for (std::int64_t slot = 0; slot < rows; ++slot) {
      const std::int32_t* own = indices + (first_row + slot) * volume;
      for (int v = first_offset; v < last_offset; ++v) {
        slots_[v * stride_ + slot] = static_cast<std::int32_t>(slot);
        rows_[v * stride_ + slot] = own[v];
      }
    }
  }

  /// One offset from the inverse's lists. With repeated coordinates a slot may have any number of pairs, so
  /// the list is handed to multiply(list) whenever it is full, and at the end. `masked` as above.
  template <class Multiply>
  void collect_inverse(const InverseMap& inverse, std::int64_t first_row, std::int64_t rows, int offset,
                       bool masked, const Multiply& multiply) {
    std::int64_t count = 0;
    const std::int64_t capacity = stride_;
    const auto append = [&](std::int64_t slot, std::int32_t row) {
      if (count == capacity) {
        multiply(PairList{slots_.data(), rows_.data(), count});
        count = 0;
      }
      slots_[count] = static_cast<std::int32_t>(slot);
      rows_[count++] = row;
    };
    for (std::int64_t slot = 0; slot < rows; ++slot) {
      std::int64_t entry = first_entry(inverse, first_row + slot, offset);
      const std::int64_t end = inverse.starts[first_row + slot + 1];
      if (!masked && (entry == end || inverse.entries[entry].offset != offset)) append(slot, -1);
      for (; entry < end && inverse.entries[entry].offset == offset; ++entry)
        append(slot, inverse.entries[entry].row);
    }
    multiply(PairList{slots_.data(), rows_.data(), count});
  }

  PairList list(int offset) const noexcept {
    return {slots_.data() + offset * stride_, rows_.data() + offset * stride_, counts_[offset]};
  }

 private:
  /// First entry of a row whose offset is not below `offset`.
  static std::int64_t first_entry(const InverseMap& inverse, std::int64_t row, int offset) noexcept {
    std::int64_t low = inverse.starts[row];
    std::int64_t high = inverse.starts[row + 1];
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (inverse.entries[middle].offset < offset) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  std::int64_t stride_;
  HostBuffer<std::int32_t> slots_;
  HostBuffer<std::int32_t> rows_;
  HostBuffer<std::int32_t> counts_;
};

}  // namespace flexgemm::detail
