#include "cpu/coordinate_hash.hpp"

#include <algorithm>
#include <bit>
#include <new>

namespace flexgemm::detail {

namespace {
constexpr std::int64_t words_per_task = 1 << 16;
}

CoordinateHash::CoordinateHash(DeviceMemory& memory, ThreadPool& pool, const std::int32_t* coords,
                               std::int64_t rows)
    : coords_(coords) {
  // At most half full: a probe for an absent coordinate ends after about one cache line.
  const std::uint64_t size = std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(2 * rows, 16)));
  index_mask_ = size - 1;
  filter_mask_ = size / 2 - 1;
  const auto slots = static_cast<std::int64_t>(size);
  const std::int64_t words = slots + slots / 2;
  storage_ = HostBuffer<std::uint64_t>(memory, words);
  slots_ = reinterpret_cast<Word*>(storage_.data());
  filter_ = slots_ + slots;
  pool.parallel_for((words + words_per_task - 1) / words_per_task, [&](std::int64_t task, int) {
    const std::int64_t end = std::min(words, (task + 1) * words_per_task);
    for (std::int64_t i = task * words_per_task; i < end; ++i)
      ::new (static_cast<void*>(slots_ + i)) Word(i < slots ? empty : 0);
  });
}

bool CoordinateHash::insert(std::int32_t row) noexcept {
  const Coordinate wanted = coordinate(row);
  const Column own = column(wanted);
  filter_[filter_index(own, wanted[3])].fetch_or(std::uint64_t{1} << (wanted[3] & 63),
                                                 std::memory_order_relaxed);
  const auto [start, tag] = locate(own, wanted[3]);
  const std::uint64_t entry = (std::uint64_t{tag} << 32) | static_cast<std::uint32_t>(row);
  for (std::uint64_t index = start;; index = (index + 1) & index_mask_) {
    Word& slot = slots_[static_cast<std::int64_t>(index)];
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
