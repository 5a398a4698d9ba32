#include "core/log.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "core/environment.hpp"

namespace flexgemm {

namespace detail {

namespace {

int stderr_level() noexcept {
  static const int level = [] {
    const auto text = environment_variable("FLEXGEMM_VERBOSE");
    if (!text) return 0;
    return *text == "0" ? 0 : *text == "2" ? 2 : 1;
  }();
  return level;
}

/// The callback of the process. Callers hold the lock shared, so that replacing it waits for them.
struct Listener {
  std::shared_mutex mutex;
  LogCallback callback;       // guarded by mutex
  std::atomic<int> level{0};  // 0: no callback
};

Listener& listener() noexcept {
  static auto* const instance = new Listener;  // never destroyed: threads may log while the process ends
  return *instance;
}

/// Whether this thread is inside the callback.
thread_local bool delivering = false;

void deliver(int level, const std::string& text) {
  if (delivering || listener().level.load(std::memory_order_relaxed) < level) return;
  const std::shared_lock lock(listener().mutex);
  if (!listener().callback || listener().level.load(std::memory_order_relaxed) < level) return;
  struct Scope {
    Scope() noexcept { delivering = true; }
    ~Scope() { delivering = false; }
  };
  const Scope scope;
  listener().callback(static_cast<LogLevel>(level), text);
}

}  // namespace

int verbosity() noexcept {
  return std::max(stderr_level(), listener().level.load(std::memory_order_relaxed));
}

void write_log(int level, const std::string& text) noexcept {
  try {
    deliver(level, text);
  } catch (...) {  // a log line is never worth failing for
  }
  if (stderr_level() < level) return;
  try {
    const std::string line = "flexgemm: " + text + "\n";
    std::fwrite(line.data(), 1, line.size(), stderr);
  } catch (...) {
  }
}

}  // namespace detail

void set_log_callback(LogCallback callback, LogLevel level) {
  detail::Listener& listener = detail::listener();
  const std::unique_lock lock(listener.mutex);
  listener.level.store(callback ? static_cast<int>(level) : 0, std::memory_order_relaxed);
  std::swap(listener.callback, callback);  // the old one dies with the parameter, after the lock
}

}  // namespace flexgemm
