#include "cpu/thread_pool.hpp"

#include <algorithm>
#include <system_error>

#if defined(__linux__)
#include <sched.h>
#endif

namespace flexgemm::detail {

int usable_processors() noexcept {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  loop_added_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::start_workers() {
  if (started_) return;
  started_ = true;
  try {
    for (int i = 1; i < threads_; ++i) workers_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {  // the system gives no more threads: those that exist do the work
  }
}

ThreadPool::Loop* ThreadPool::find_loop() noexcept {
  for (Loop* loop : loops_) {
    if (loop->participants < threads_ && !loop->abandoned.load() && loop->next.load() < loop->count)
      return loop;
  }
  return nullptr;
}

void ThreadPool::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    Loop* loop = nullptr;
    loop_added_.wait(lock, [&] { return stopping_ || (loop = find_loop()) != nullptr; });
    if (loop == nullptr) return;
    const int worker = loop->participants++;
    ++loop->active;
    lock.unlock();
    run_tasks(*loop, worker);
    lock.lock();
    if (--loop->active == 0) worker_left_.notify_all();
  }
}

void ThreadPool::run_tasks(Loop& loop, int worker) noexcept {
  while (!loop.abandoned.load()) {
    const std::int64_t task = loop.next.fetch_add(1);
    if (task >= loop.count) return;
    try {
      loop.body(task, worker);
    } catch (...) {
      // Tasks are begun in order, so every lower task has been begun too and will report its own failure.
      const std::lock_guard lock(mutex_);
      loop.abandoned.store(true);
      if (loop.failed_task < 0 || task < loop.failed_task) {
        loop.failed_task = task;
        loop.failure = std::current_exception();
      }
    }
  }
}

void ThreadPool::parallel_for(std::int64_t count, const Body& body) {
  if (threads_ == 1 || count <= 1) {
    for (std::int64_t task = 0; task < count; ++task) body(task, 0);
    return;
  }
  Loop loop{.body = body, .count = count, .failure = nullptr};
  std::list<Loop*>::iterator position;
  {
    const std::lock_guard lock(mutex_);
    start_workers();
    position = loops_.insert(loops_.end(), &loop);
  }
  loop_added_.notify_all();
  run_tasks(loop, 0);
  std::unique_lock lock(mutex_);
  loops_.erase(position);
  worker_left_.wait(lock, [&] { return loop.active == 0; });
  if (loop.failure) std::rethrow_exception(loop.failure);
}

}  // namespace flexgemm::detail
