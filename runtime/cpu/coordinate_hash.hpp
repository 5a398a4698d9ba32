#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "cpu/host_buffer.hpp"
#include "cpu/thread_pool.hpp"

namespace flexgemm::detail {

/// (batch, x, y, z), each any int32.
using Coordinate = std::array<std::int32_t, 4>;

/// Finds the lowest row that holds a coordinate. Open addressing with linear probing; a slot is one 64-bit
/// word: a 32-bit tag from the coordinate's hash and the row, whose full coordinate confirms a match, so any
/// int32 coordinates work. Neighbors share cache lines: 2 x 4 cells along y and z. Most searches are for
/// absent cells: a filter of one bit a cell, 64 cells of a column in a word, answers nearly all of them; 8
/// columns side by side along y share a cache line. Insertions may run in parallel: which slot a row gets
/// depends on timing, what find() returns does not.
class CoordinateHash {
 public:
  /// `coords` is int32 [rows, 4] and must stay valid while the table is used.
  CoordinateHash(DeviceMemory& memory, ThreadPool& pool, const std::int32_t* coords, std::int64_t rows);

  /// Inserts a row. Returns false if a row with the same coordinate is there; the lower of both stays.
  bool insert(std::int32_t row) noexcept;

  /// Where the cells (batch, x, y, *) lie: computed once for a column of cells.
  struct Column {
    std::uint64_t slots;   ///< hash that two columns side by side along y share
    std::uint64_t filter;  ///< hash that eight such columns share
    std::uint32_t y;
  };
  static Column column(std::int32_t batch, std::int32_t x, std::int32_t y) noexcept {
    const std::uint64_t plane = std::uint64_t{static_cast<std::uint32_t>(batch)} * 0xd6e8feb86659fd93u +
                                std::uint64_t{static_cast<std::uint32_t>(x)} * 0x9e3779b97f4a7c15u;
    const auto cell = static_cast<std::uint32_t>(y);
    return {plane + std::uint64_t{cell >> 1} * 0xc2b2ae3d27d4eb4fu,
            plane + std::uint64_t{cell >> 3} * 0xc2b2ae3d27d4eb4fu, cell};
  }
  static Column column(const Coordinate& c) noexcept { return column(c[0], c[1], c[2]); }

  /// One bit for each of the cells z & ~63 ... z | 63 of a column: clear where no row was inserted, nearly
  /// always set only where one was (another column may share the word).
  std::uint64_t occupancy(const Column& column, std::int32_t z) const noexcept {
    return filter_[filter_index(column, z)].load(std::memory_order_relaxed);
  }

  /// Asks for the cache line where find() will begin.
  void prefetch(const Column& column, std::int32_t z) const noexcept {
#if defined(__GNUC__)
    __builtin_prefetch(slots_ + locate(column, z).index);
#else
    static_cast<void>(column), static_cast<void>(z);
#endif
  }

  /// The lowest inserted row with that coordinate, or -1. `column` is its column.
  std::int32_t find(const Column& column, const Coordinate& coordinate) const noexcept {
    const auto [start, tag] = locate(column, coordinate[3]);
    for (std::uint64_t index = start;; index = (index + 1) & index_mask_) {
      const std::uint64_t slot = slots_[static_cast<std::int64_t>(index)].load(std::memory_order_relaxed);
      if (slot == empty) return -1;
      if (static_cast<std::uint32_t>(slot >> 32) == tag && holds(row_of(slot), coordinate))
        return row_of(slot);
    }
  }

  Coordinate coordinate(std::int64_t row) const noexcept {
    const std::int32_t* c = coords_ + 4 * row;
    return {c[0], c[1], c[2], c[3]};
  }

 private:
  static constexpr std::uint64_t empty = ~std::uint64_t{0};  // its row would be -1
  static constexpr std::uint64_t z_factor = 0x165667b19e3779f9u;
  struct Location {
    std::uint64_t index;
    std::uint32_t tag;
  };

  /// Spreads every bit of a sum of products over the word.
  static std::uint64_t mix(std::uint64_t hash) noexcept {
    hash = (hash ^ (hash >> 32)) * 0xff51afd7ed558ccdu;
    return hash ^ (hash >> 29);
  }
  std::uint64_t filter_index(const Column& column, std::int32_t z) const noexcept {
    const std::uint64_t block =
        mix(column.filter + std::uint64_t{static_cast<std::uint32_t>(z) >> 6} * z_factor);
    return ((block << 3) | (column.y & 7u)) & filter_mask_;
  }
  Location locate(const Column& column, std::int32_t z) const noexcept {
    const auto cell = static_cast<std::uint32_t>(z);
    const std::uint64_t block = mix(column.slots + std::uint64_t{cell >> 2} * z_factor);
    const std::uint32_t place = ((column.y & 1u) << 2) | (cell & 3u);
    return {((block << 3) | place) & index_mask_, static_cast<std::uint32_t>(block >> 32) ^ (place << 29)};
  }
  bool holds(std::int32_t row, const Coordinate& wanted) const noexcept { return coordinate(row) == wanted; }
  static std::int32_t row_of(std::uint64_t slot) noexcept {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(slot));
  }

  using Word = std::atomic<std::uint64_t>;
  static_assert(sizeof(Word) == sizeof(std::uint64_t) && Word::is_always_lock_free);

  const std::int32_t* coords_;
  std::uint64_t index_mask_;
  std::uint64_t filter_mask_;
  HostBuffer<std::uint64_t> storage_;
  Word* slots_;   // [index_mask_ + 1]
  Word* filter_;  // [filter_mask_ + 1]
};

}  // namespace flexgemm::detail
