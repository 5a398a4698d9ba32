#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "api/layer.hpp"
#include "api/support.hpp"

using namespace flexgemm;
using namespace flexgemm::api_test;

namespace {

struct Line {
  LogLevel level;
  std::string text;
};

/// Takes the process's log for its lifetime.
class Listening {
 public:
  explicit Listening(LogLevel level) {
    set_log_callback(
        [this](LogLevel line_level, std::string_view text) {
          const std::lock_guard lock(mutex_);
          lines_.push_back({line_level, std::string(text)});
        },
        level);
  }
  ~Listening() { set_log_callback({}); }
  std::vector<Line> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Line> lines_;
};

void run_a_layer() {
  const Context context = Context::open(Device::cpu());
  Layer layer;
  layer.forward(context, layer.map(context));
}

}  // namespace

TEST_CASE("a log callback receives lines up to its level") {
  const Listening listening(LogLevel::launch);
  run_a_layer();
  const std::vector<Line> lines = listening.lines();
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].level == LogLevel::launch);
  CHECK(lines[0].text.starts_with("cpu.masked_implicit_gemm"));
  CHECK(lines[0].text.find('\n') == std::string::npos);
}

TEST_CASE("a log callback for decisions hears of no launch") {
  const Listening listening(LogLevel::decision);
  run_a_layer();
  CHECK(listening.lines().empty());
}

TEST_CASE("a log callback that was taken away is not called any more") {
  int calls = 0;
  set_log_callback([&calls](LogLevel, std::string_view) { ++calls; }, LogLevel::launch);
  run_a_layer();
  REQUIRE(calls == 1);
  set_log_callback({}, LogLevel::launch);
  run_a_layer();
  CHECK(calls == 1);
}

TEST_CASE("a log callback may throw, and call the library, without harm") {
  int calls = 0;
  set_log_callback(
      [&calls](LogLevel, std::string_view) {
        ++calls;
        run_a_layer();
        throw std::runtime_error("from a callback");
      },
      LogLevel::launch);
  CHECK_NOTHROW(run_a_layer());
  CHECK(calls == 1);
  CHECK_NOTHROW(run_a_layer());
  CHECK(calls == 2);
  set_log_callback({});
}

TEST_CASE("a log callback can be replaced while threads log, and is quiet once replaced") {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&stop] {
      while (!stop) run_a_layer();
    });
  }
  for (int round = 0; round < 20; ++round) {
    // The callback's state dies right after it was taken away: a late call would be seen by the sanitizers.
    const auto calls = std::make_unique<std::atomic<int>>(0);
    std::atomic<bool> alive{true};
    std::atomic<bool> late{false};
    set_log_callback(
        [&](LogLevel, std::string_view) {
          if (!alive) late = true;
          ++*calls;
          std::this_thread::sleep_for(std::chrono::milliseconds(1));  // a call under way while it is replaced
          if (!alive) late = true;
        },
        LogLevel::launch);
    while (*calls < 3) std::this_thread::yield();
    set_log_callback({});
    alive = false;
    CHECK(!late);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}
