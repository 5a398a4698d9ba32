#pragma once

#include <atomic>

#include <cuda.h>

namespace flexgemm::detail {

/// A point in a stream's work that other streams can wait for. The context must be current in every call.
/// `wait` is thread-safe; `record` must not run at the same time as another call.
class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(CUstream stream);
  /// Makes later work on `stream` wait for the recorded point. Costs nothing once that point has been seen
  /// to be reached.
  void wait(CUstream stream) const;
  /// The same where failure cannot be reported: in destructors.
  void wait_quietly(CUstream stream) const noexcept;
  /// Says that the host has waited for the recorded point.
  void mark_reached() noexcept { reached_.store(true, std::memory_order_release); }

 private:
  CUevent event_ = nullptr;
  mutable std::atomic<bool> reached_{false};
};

}  // namespace flexgemm::detail
