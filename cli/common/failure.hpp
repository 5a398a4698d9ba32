#pragma once

#include <string>
#include <utility>

#include <fmt/format.h>

#include <flexgemm/error.hpp>

namespace flexgemm::cli {

/// Exit codes of the programs, as their --help documents them.
enum ExitCode : int {
  exit_ok = 0,
  exit_failure = 1,  ///< out of memory, a driver failure, or a bug
  exit_bad_usage = 2,
  exit_bad_input = 3,
  exit_verification_failed = 4,  ///< a wrong result, or a damaged file
  exit_no_device = 5,
};

/// The exit code that tells a shell what `code` tells a program.
constexpr ExitCode exit_code(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::unsupported:
      return exit_bad_usage;
    case ErrorCode::io:
      return exit_bad_input;
    case ErrorCode::no_device:
      return exit_no_device;
    default:
      return exit_failure;
  }
}

/// Throws Error with a formatted message.
template <class... Arguments>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  throw Error(code, fmt::format(format, std::forward<Arguments>(arguments)...));
}

}  // namespace flexgemm::cli
