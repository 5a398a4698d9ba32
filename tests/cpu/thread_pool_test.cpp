#include "cpu/thread_pool.hpp"

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>

using flexgemm::detail::ThreadPool;

TEST_CASE("a parallel loop runs every task exactly once, for any number of threads") {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (const std::int64_t count : {0, 1, 2, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
      pool.parallel_for(count, [&](std::int64_t task, int) { ++runs[static_cast<std::size_t>(task)]; });
      for (const std::atomic<int>& times : runs) REQUIRE(times == 1);
    }
  }
}

TEST_CASE("no two threads of a loop hold the same worker number") {
  ThreadPool pool(4);
  std::vector<std::atomic<bool>> held(4);
  std::atomic<bool> clash{false};
  pool.parallel_for(2000, [&](std::int64_t, int worker) {
    if (worker < 0 || worker >= 4 || held[static_cast<std::size_t>(worker)].exchange(true)) clash = true;
    std::this_thread::yield();
    held[static_cast<std::size_t>(worker)] = false;
  });
  REQUIRE_FALSE(clash);
}

TEST_CASE("the exception of the lowest failing task reaches the caller, and the pool works on") {
  ThreadPool pool(3);
  for (int repetition = 0; repetition < 50; ++repetition) {
    std::string caught;
    try {
      pool.parallel_for(200, [](std::int64_t task, int) {
        if (task >= 20 && task % 10 == 7) throw std::runtime_error(std::to_string(task));
      });
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    REQUIRE(caught == "27");
  }
  std::atomic<int> runs{0};
  pool.parallel_for(10, [&](std::int64_t, int) { ++runs; });
  REQUIRE(runs == 10);
}

TEST_CASE("a task may start a loop of its own") {
  ThreadPool pool(3);
  std::atomic<int> runs{0};
  pool.parallel_for(8, [&](std::int64_t, int) { pool.parallel_for(50, [&](std::int64_t, int) { ++runs; }); });
  REQUIRE(runs == 400);
}

TEST_CASE("several threads may use one pool at the same time") {
  ThreadPool pool(3);
  std::atomic<std::int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int repetition = 0; repetition < 20; ++repetition)
        pool.parallel_for(100, [&](std::int64_t task, int) { sum += task; });
    });
  }
  for (std::thread& caller : callers) caller.join();
  REQUIRE(sum == 4 * 20 * 4950);
}
