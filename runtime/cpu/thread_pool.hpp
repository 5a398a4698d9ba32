#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

namespace flexgemm::detail {

/// Processors that the process may run on (its affinity mask where the system has one), at least 1.
int usable_processors() noexcept;

/// A fixed set of threads that share the tasks of parallel loops. Thread-safe: loops of several callers run
/// side by side, and a task may start a loop of its own, because every caller works on its own loop and never
/// depends on a free worker. Threads are started by the first loop that can use them.
class ThreadPool {
 public:
  /// Called as body(task, worker): `worker` lies in [0, threads()) and is held by one thread at a time within
  /// one loop, so it can number scratch memory.
  using Body = std::function<void(std::int64_t task, int worker)>;

  /// `threads` counts the calling thread; at least 1.
  explicit ThreadPool(int threads) noexcept : threads_(threads < 1 ? 1 : threads) {}
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const noexcept { return threads_; }

  /// Runs tasks 0 ... count - 1 and returns when all are done. If tasks throw, no further task is begun and
  /// the exception of the lowest task that threw is rethrown: the same one for any number of threads.
  void parallel_for(std::int64_t count, const Body& body);

 private:
  struct Loop {
    const Body& body;
    const std::int64_t count;
    std::atomic<std::int64_t> next{0};
    int participants = 1;                // guarded by mutex_; the caller is the first
    int active = 0;                      // guarded by mutex_; workers inside run_tasks
    std::int64_t failed_task = -1;       // guarded by mutex_
    std::exception_ptr failure;          // guarded by mutex_
    std::atomic<bool> abandoned{false};  // a task threw: begin no more
  };

  void start_workers();
  void work();
  Loop* find_loop() noexcept;
  void run_tasks(Loop& loop, int worker) noexcept;

  const int threads_;
  std::mutex mutex_;
  std::condition_variable loop_added_;
  std::condition_variable worker_left_;
  std::list<Loop*> loops_;            // guarded by mutex_
  std::vector<std::thread> workers_;  // guarded by mutex_ until destruction
  bool started_ = false;              // guarded by mutex_
  bool stopping_ = false;             // guarded by mutex_
};

}  // namespace flexgemm::detail
