#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "codegen/kernel_spec.hpp"
#include "cuda/nvrtc.hpp"
#include "tuner/compile_protocol.hpp"

namespace flexgemm::detail {

/// Where the worker program is: FLEXGEMM_COMPILE_WORKER, else beside this library, else where it is installed
/// to; empty if it is nowhere.
std::string compile_worker_path();

struct CompilePoolOptions {
  int jobs = 0;             ///< 0: as many as usable_processors(), at most 16
  std::string worker_path;  ///< empty: no workers, everything is compiled in this process
  /// A compilation that takes longer is given up and its worker killed.
  std::chrono::milliseconds time_limit = std::chrono::minutes(2);
  /// Whether `wait` compiles in this process if no worker can be started; else such kernels fail.
  bool compile_here = true;
};

/// What became of one kernel.
struct CompileOutcome {
  std::size_t ticket = 0;  ///< what `submit` returned
  std::optional<CompiledKernel> kernel;
  std::string problem;  ///< why there is none, as a sentence
};

/// Compiles kernels in worker processes, because NVRTC is nearly serial within one (16 threads are hardly
/// faster than one). Workers are started with posix_spawn, so that a process with a CUDA context is never
/// forked, in a process group of their own, so that Ctrl-C reaches only the parent, and they die with it. A
/// worker that crashes costs the kernel that it was compiling, and another one takes its place. If none can
/// be started, `wait` compiles in this process, one kernel a call. Not thread-safe.
class CompilePool {
 public:
  explicit CompilePool(CompilePoolOptions options);
  ~CompilePool();
  CompilePool(const CompilePool&) = delete;
  CompilePool& operator=(const CompilePool&) = delete;

  /// Starts a worker if there is none, before there is a kernel for it: it loads its compiler meanwhile.
  void start_one();

  /// Queues a kernel; kernels are started in the order of their tickets: 0, 1, ...
  std::size_t submit(const codegen::KernelSpec& spec);

  /// The next kernel that is finished, in any order; none when `timeout` has passed or nothing is pending.
  std::optional<CompileOutcome> wait(std::chrono::milliseconds timeout);

  std::size_t pending() const noexcept { return queue_.size() + under_way() + finished_.size(); }
  /// Worker processes that are alive.
  int workers() const noexcept;
  /// Forgets the kernels that no worker has started yet.
  void drop_queue() noexcept { queue_.clear(); }

 private:
  struct Task {
    std::size_t ticket = 0;
    codegen::KernelSpec spec;
  };
  struct Worker {
    int process = 0;
    int socket = -1;
    MessageReader reader;
    std::optional<Task> task;
    std::chrono::steady_clock::time_point started;
  };

  std::size_t under_way() const noexcept;
  void start_workers();
  bool start_worker();
  void feed(Worker& worker);
  void read_from(Worker& worker);
  void bury(Worker& worker, const std::string& why);
  std::string end_of(Worker& worker) noexcept;
  void kill_late_workers();
  bool poll_workers(std::chrono::milliseconds timeout);
  CompileOutcome compile_here();

  CompilePoolOptions options_;
  std::size_t next_ticket_ = 0;
  std::deque<Task> queue_;
  std::vector<Worker> workers_;
  std::deque<CompileOutcome> finished_;
  int starts_left_ = 0;
};

}  // namespace flexgemm::detail
