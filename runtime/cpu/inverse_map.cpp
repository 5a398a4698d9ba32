#include <algorithm>
#include <atomic>
#include <new>
#include <tuple>

#include "cpu/cpu_map.hpp"

namespace flexgemm::detail {

namespace {

constexpr std::int64_t rows_per_task = 2048;
using Counter = std::atomic<std::int64_t>;

/// Calls visit(m, v, n) for every pair, in parallel.
template <class Visit>
void for_each_pair(ThreadPool& pool, const CpuMap& map, const Visit& visit) {
  const int volume = map.volume();
  pool.parallel_for((map.rows + rows_per_task - 1) / rows_per_task, [&](std::int64_t task, int) {
    const std::int64_t end = std::min(map.rows, (task + 1) * rows_per_task);
    for (std::int64_t n = task * rows_per_task; n < end; ++n) {
      for (int v = 0; v < volume; ++v) {
        const std::int32_t m = map.indices()[n * volume + v];
        if (m >= 0) visit(m, v, static_cast<std::int32_t>(n));
      }
    }
  });
}

void sort_entries(ThreadPool& pool, InverseMap& inverse, std::int64_t rows) {
  pool.parallel_for((rows + rows_per_task - 1) / rows_per_task, [&](std::int64_t task, int) {
    const std::int64_t end = std::min(rows, (task + 1) * rows_per_task);
    for (std::int64_t m = task * rows_per_task; m < end; ++m) {
      std::sort(inverse.entries.data() + inverse.starts[m], inverse.entries.data() + inverse.starts[m + 1],
                [](const InverseMap::Entry& a, const InverseMap::Entry& b) {
                  return std::tie(a.offset, a.row) < std::tie(b.offset, b.row);
                });
    }
  });
}

}  // namespace

const InverseMap& CpuMap::inverse() const {
  const std::lock_guard lock(inverse_mutex_);
  if (inverse_ != nullptr) return *inverse_;
  auto inverse = std::make_unique<InverseMap>();
  inverse->starts = HostBuffer<std::int64_t>(cpu_->memory, rows + 1);
  inverse->entries = HostBuffer<InverseMap::Entry>(cpu_->memory, pairs_);
  HostBuffer<std::int64_t> counter_storage(cpu_->memory, rows);
  auto* counters = reinterpret_cast<Counter*>(counter_storage.data());
  for (std::int64_t m = 0; m < rows; ++m) ::new (static_cast<void*>(counters + m)) Counter(0);
  for_each_pair(cpu_->pool, *this, [&](std::int32_t m, int, std::int32_t) {
    counters[m].fetch_add(1, std::memory_order_relaxed);
  });
  std::int64_t start = 0;
  for (std::int64_t m = 0; m < rows; ++m) {
    inverse->starts[m] = start;
    start += counters[m].exchange(start, std::memory_order_relaxed);
  }
  inverse->starts[rows] = start;
  // Threads place the entries of a row in any order; sorting makes the order the same every time.
  for_each_pair(cpu_->pool, *this, [&](std::int32_t m, int v, std::int32_t n) {
    inverse->entries[counters[m].fetch_add(1, std::memory_order_relaxed)] = {v, n};
  });
  sort_entries(cpu_->pool, *inverse, rows);
  inverse_ = std::move(inverse);
  return *inverse_;
}

}  // namespace flexgemm::detail
