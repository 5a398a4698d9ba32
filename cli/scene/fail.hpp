#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include <flexgemm/error.hpp>

namespace flexgemm::scene {

/// Throws Error{io} "SOURCE: sentence": how every reader refuses its input.
template <class... Arguments>
[[noreturn]] void fail_input(std::string_view source, fmt::format_string<Arguments...> format,
                             Arguments&&... arguments) {
  throw Error(ErrorCode::io,
              fmt::format("{}: {}", source, fmt::format(format, std::forward<Arguments>(arguments)...)));
}

/// Throws Error{invalid_argument}.
template <class... Arguments>
[[noreturn]] void fail_argument(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  throw Error(ErrorCode::invalid_argument, fmt::format(format, std::forward<Arguments>(arguments)...));
}

/// Text from an untrusted file made fit for a message: in single quotes, at most 40 characters, bytes that
/// are not printable ASCII as \xNN.
std::string quote(std::string_view text);

/// The system's words for an errno value.
std::string system_reason(int error_number);

}  // namespace flexgemm::scene
