#pragma once

#include <string>
#include <utility>

#include <fmt/format.h>

#include <flexgemm/error.hpp>
#include <flexgemm/flexgemm_types.h>

#include "core/fail.hpp"

namespace flexgemm::capi {

/// Keeps the message for the calling thread and returns the status. Never fails: without memory for the
/// message it keeps as much of it as a fixed place holds.
flexgemm_status record_failure(flexgemm_status status, const char* message) noexcept;
/// The last message that this thread recorded, or "".
const char* last_failure() noexcept;

/// Records the exception that is being handled.
flexgemm_status record_current_exception() noexcept;

/// Runs a call's body: its exceptions become a status and a message.
template <class Body>
flexgemm_status guarded(Body&& body) noexcept {
  try {
    std::forward<Body>(body)();
    return FLEXGEMM_OK;
  } catch (...) {
    return record_current_exception();
  }
}

/// Throws Error{invalid_argument} naming the argument if it is NULL.
inline void require_pointer(const void* pointer, const char* name) {
  if (pointer == nullptr) detail::fail(ErrorCode::invalid_argument, "the argument {} is NULL", name);
}

/// A pointer to write a new handle to: not NULL, and NULL behind it until the call succeeds.
template <class Handle>
void require_target(Handle** target, const char* name) {
  require_pointer(target, name);
  *target = nullptr;
}

}  // namespace flexgemm::capi
