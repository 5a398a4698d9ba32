#pragma once

#include <string>
#include <utility>

#include <fmt/format.h>

#include <flexgemm/error.hpp>

namespace flexgemm::detail {

/// Throws Error with a formatted message: the only way the library reports a failure.
template <class... Arguments>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  throw Error(code, fmt::format(format, std::forward<Arguments>(arguments)...));
}

}  // namespace flexgemm::detail
