#include "cuda/event.hpp"

#include "cuda/driver.hpp"

namespace flexgemm::detail {

Event::Event() { FLEXGEMM_DRIVER(cuEventCreate, &event_, CU_EVENT_DISABLE_TIMING); }

Event::~Event() {
  if (event_ != nullptr) driver().cuEventDestroy(event_);
}

void Event::record(CUstream stream) {
  reached_.store(false, std::memory_order_release);
  FLEXGEMM_DRIVER(cuEventRecord, event_, stream);
}

void Event::wait(CUstream stream) const {
  if (reached_.load(std::memory_order_acquire)) return;
  if (driver().cuEventQuery(event_) == CUDA_SUCCESS) {
    reached_.store(true, std::memory_order_release);
    return;
  }
  FLEXGEMM_DRIVER(cuStreamWaitEvent, stream, event_, CU_EVENT_WAIT_DEFAULT);
}

void Event::wait_quietly(CUstream stream) const noexcept {
  if (!reached_.load(std::memory_order_acquire)) {
    driver().cuStreamWaitEvent(stream, event_, CU_EVENT_WAIT_DEFAULT);
  }
}

}  // namespace flexgemm::detail
