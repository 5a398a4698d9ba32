#include "cpu/coordinate_hash.hpp"

#include <algorithm>
#include <bit>
#include <new>

namespace flexgemm::detail {

namespace {
constexpr std::int64_t slots_per_task = 1 << 16;
}

CoordinateHash::CoordinateHash(DeviceMemory& memory, ThreadPool& pool, const std::int32_t* coords,
                               std::int64_t rows)
    : coords_(coords) {
  // At most half full: a probe for an absent coordinate ends after about one cache line.
  const std::uint64_t size = std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(2 * rows, 16)));
  index_mask_ = size - 1;
  const auto slots = static_cast<std::int64_t>(size);
  storage_ = HostBuffer<std::uint64_t>(memory, slots);
  slots_ = reinterpret_cast<Slot*>(storage_.data());
  pool.parallel_for((slots + slots_per_task - 1) / slots_per_task, [&](std::int64_t task, int) {
    const std::int64_t end = std::min(slots, (task + 1) * slots_per_task);
    for (std::int64_t i = task * slots_per_task; i < end; ++i)
      ::new (static_cast<void*>(slots_ + i)) Slot(empty);
  });
}

bool CoordinateHash::insert(std::int32_t row) noexcept {
  const Coordinate wanted = coordinate(row);
  const auto [start, tag] = locate(column_hash(wanted[0], wanted[1], wanted[2]), wanted[3]);
  const std::uint64_t entry = (std::uint64_t{tag} << 32) | static_cast<std::uint32_t>(row);
  for (std::uint64_t index = start;; index = (index + 1) & index_mask_) {
    Slot& slot = slots_[static_cast<std::int64_t>(index)];
    std::uint64_t found = slot.load(std::memory_order_relaxed);
    if (found == empty && slot.compare_exchange_strong(found, entry, std::memory_order_relaxed)) return true;
    // Occupied, perhaps a moment ago by another thread: `found` is what it holds.
    if (static_cast<std::uint32_t>(found >> 32) == tag && holds(row_of(found), wanted)) {
      while (row < row_of(found) && !slot.compare_exchange_weak(found, entry, std::memory_order_relaxed)) {
      }
      return false;
    }
  }
}

}  // namespace flexgemm::detail
