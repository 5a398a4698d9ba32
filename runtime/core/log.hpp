#pragma once

#include <string>
#include <utility>

#include <fmt/format.h>

namespace flexgemm::detail {

/// How much the library tells on stderr: 0 nothing (the default), 1 one line a decision, 2 one line a launch.
/// Set by the environment variable FLEXGEMM_VERBOSE, read once.
int verbosity() noexcept;

/// Writes "flexgemm: <text>\n" to stderr in one piece.
void write_log(const std::string& text) noexcept;

/// Logs at a level; the arguments are not formatted when nobody listens.
template <class... Arguments>
void log(int level, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  if (verbosity() >= level) write_log(fmt::format(format, std::forward<Arguments>(arguments)...));
}

}  // namespace flexgemm::detail
