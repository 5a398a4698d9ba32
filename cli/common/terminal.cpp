#include "common/terminal.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <system_error>

#include <unistd.h>

#include "common/failure.hpp"

namespace flexgemm::cli {

ProgressLine::ProgressLine() : shown_(isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() { show(""); }

void ProgressLine::show(const std::string& text) const {
  if (shown_) std::fprintf(stderr, "\r\033[K%s", text.c_str());
}

void print(const std::string& text) {
  errno = 0;
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written && errno != EPIPE) {
    fail(ErrorCode::io, "cannot write to standard output: {}", std::generic_category().message(errno));
  }
}

int run_guarded(const char* program, const char* memory_advice, const std::function<int()>& body) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return body();
  } catch (const Error& error) {
    const bool out_of_memory = error.code() == ErrorCode::out_of_memory;
    std::fprintf(stderr, "%s: %s%s\n", program, out_of_memory ? "out of memory: " : "", error.what());
    return exit_code(error.code());
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "%s: out of memory: %s\n", program, memory_advice);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: internal error, please report it: %s\n", program, error.what());
  }
  return exit_failure;
}

}  // namespace flexgemm::cli
