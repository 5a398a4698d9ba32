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
/// int32 coordinates work. Eight neighbors along z share a cache line. Insertions may run in parallel: which
/// slot a row gets depends on timing, what find() returns does not.
class CoordinateHash {
 public:
  /// `coords` is int32 [rows, 4] and must stay valid while the table is used.
  CoordinateHash(DeviceMemory& memory, ThreadPool& pool, const std::int32_t* coords, std::int64_t rows);

  /// Inserts a row. Returns false if a row with the same coordinate is there; the lower of both stays.
  bool insert(std::int32_t row) noexcept;

  /// Where the cells (batch, x, y, *) lie: computed once for a column of cells.
  static std::uint64_t column_hash(std::int32_t batch, std::int32_t x, std::int32_t y) noexcept {
    return std::uint64_t{static_cast<std::uint32_t>(batch)} * 0xd6e8feb86659fd93u +
           std::uint64_t{static_cast<std::uint32_t>(x)} * 0x9e3779b97f4a7c15u +
           std::uint64_t{static_cast<std::uint32_t>(y)} * 0xc2b2ae3d27d4eb4fu;
  }

  /// The lowest inserted row with that coordinate, or -1. `column` is its column_hash.
  std::int32_t find(std::uint64_t column, const Coordinate& coordinate) const noexcept {
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
  struct Location {
    std::uint64_t index;
    std::uint32_t tag;
  };

  Location locate(std::uint64_t column, std::int32_t z) const noexcept {
    const auto cell = static_cast<std::uint32_t>(z);
    std::uint64_t hash = column + std::uint64_t{cell >> 3} * 0x165667b19e3779f9u;
    hash = (hash ^ (hash >> 32)) * 0xff51afd7ed558ccdu;
    hash ^= hash >> 29;
    return {((hash << 3) | (cell & 7u)) & index_mask_, static_cast<std::uint32_t>(hash >> 32) ^ (cell << 29)};
  }
  bool holds(std::int32_t row, const Coordinate& wanted) const noexcept { return coordinate(row) == wanted; }
  static std::int32_t row_of(std::uint64_t slot) noexcept {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(slot));
  }

  using Slot = std::atomic<std::uint64_t>;
  static_assert(sizeof(Slot) == sizeof(std::uint64_t) && Slot::is_always_lock_free);

  const std::int32_t* coords_;
  std::uint64_t index_mask_;
  HostBuffer<std::uint64_t> storage_;
  Slot* slots_;
};

}  // namespace flexgemm::detail
