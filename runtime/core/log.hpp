#pragma once

#include <string>
#include <utility>

#include <fmt/format.h>

#include <flexgemm/log.hpp>

namespace flexgemm::detail {

/// How much somebody wants to hear: 0 nothing (the default), 1 one line a decision, 2 one line a launch. The
/// larger of the environment variable FLEXGEMM_VERBOSE, read once, and the level of the callback. One load.
int verbosity() noexcept;

/// Sends a line of a level to the callback and, as "flexgemm: <text>\n" in one piece, to stderr: to those of
/// them that want it.
void write_log(int level, const std::string& text) noexcept;

/// Logs at a level; the arguments are not formatted when nobody listens.
template <class... Arguments>
void log(int level, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  if (verbosity() >= level) write_log(level, fmt::format(format, std::forward<Arguments>(arguments)...));
}

}  // namespace flexgemm::detail
