#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include <flexgemm/export.hpp>

namespace flexgemm {

/// What a line of the log tells.
enum class LogLevel : std::uint8_t {
  decision = 1,  ///< what was chosen, compiled, loaded or set aside: a few lines a layer
  launch = 2,    ///< also one line a launch
};

/// Receives one line, without an end of line; the text lives for the call only.
using LogCallback = std::function<void(LogLevel level, std::string_view line)>;

/// Sends the library's log to `callback`, up to `level`, whatever FLEXGEMM_VERBOSE says about stderr; an
/// empty callback ends that. One for the process; the library is silent without one. Thread-safe: when the
/// call returns, the previous callback is not running in another thread and will not be called again. The
/// callback may be called from any thread, by several at once; what it throws is dropped, lines that it
/// causes itself are not delivered, and it must not call set_log_callback.
FLEXGEMM_API void set_log_callback(LogCallback callback, LogLevel level = LogLevel::decision);

}  // namespace flexgemm
