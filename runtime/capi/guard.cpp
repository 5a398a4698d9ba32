#include "capi/guard.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>

namespace flexgemm::capi {

namespace {

/// A thread's last message. The fixed place serves when there is no memory for the text.
struct LastMessage {
  std::string text;
  std::array<char, 256> fixed{};
  bool use_fixed = true;
};

thread_local LastMessage last_message;

flexgemm_status status_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument:
      return FLEXGEMM_INVALID_ARGUMENT;
    case ErrorCode::invalid_coordinate:
      return FLEXGEMM_INVALID_COORDINATE;
    case ErrorCode::unsupported:
      return FLEXGEMM_UNSUPPORTED;
    case ErrorCode::no_device:
      return FLEXGEMM_NO_DEVICE;
    case ErrorCode::out_of_memory:
      return FLEXGEMM_OUT_OF_MEMORY;
    case ErrorCode::driver:
      return FLEXGEMM_DRIVER;
    case ErrorCode::compile:
      return FLEXGEMM_COMPILE;
    case ErrorCode::io:
      return FLEXGEMM_IO;
    case ErrorCode::internal:
      return FLEXGEMM_INTERNAL;
  }
  return FLEXGEMM_INTERNAL;
}

}  // namespace

flexgemm_status record_failure(flexgemm_status status, const char* message) noexcept {
  LastMessage& last = last_message;
  try {
    last.text = message;
    last.use_fixed = false;
  } catch (...) {
    const std::size_t length = std::min(std::strlen(message), last.fixed.size() - 1);
    std::memcpy(last.fixed.data(), message, length);
    last.fixed[length] = '\0';
    last.use_fixed = true;
  }
  return status;
}

const char* last_failure() noexcept {
  const LastMessage& last = last_message;
  return last.use_fixed ? last.fixed.data() : last.text.c_str();
}

flexgemm_status record_current_exception() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return record_failure(status_of(error.code()), error.what());
  } catch (const std::bad_alloc&) {
    return record_failure(FLEXGEMM_OUT_OF_MEMORY, "the host's memory is exhausted");
  } catch (const std::length_error&) {
    return record_failure(FLEXGEMM_OUT_OF_MEMORY, "the call would need more host memory than can exist");
  } catch (const std::exception& error) {
    return record_failure(FLEXGEMM_INTERNAL, error.what());
  } catch (...) {
    return record_failure(FLEXGEMM_INTERNAL, "an exception of an unknown type ended the call");
  }
}

}  // namespace flexgemm::capi
