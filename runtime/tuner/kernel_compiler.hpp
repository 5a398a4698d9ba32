#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>

#include <unistd.h>

#include "codegen/kernel_spec.hpp"
#include "tuner/compile_pool.hpp"

namespace flexgemm::detail {

struct KernelCompilerOptions {
  int jobs = 0;             ///< workers at most; 0: 4, or as many as there are processors
  std::string worker_path;  ///< never empty
  /// Workers without work for so long are ended, and no new ones are started: a library that has compiled its
  /// layers keeps no processes.
  std::chrono::milliseconds patience = std::chrono::seconds(10);
};

/// Compiles the kernels of a context that starts with none, in worker processes. The first worker is started
/// at once and loads NVRTC while the caller opens the GPU; the kernels of one pass compile side by side,
/// which they cannot within a process (docs/performance.md). A kernel is compiled once, however many threads
/// ask. Whatever keeps a worker from delivering a kernel, the thread that needs it compiles it in this
/// process: no thread of the library's own ever runs NVRTC, whose objects the process's exit destroys under
/// it. Thread-safe.
class KernelCompiler {
 public:
  /// Throws std::system_error if no thread can be started.
  explicit KernelCompiler(KernelCompilerOptions options);
  /// Ends the workers; kernels under way are lost. No other call may be under way.
  ~KernelCompiler();
  KernelCompiler(const KernelCompiler&) = delete;
  KernelCompiler& operator=(const KernelCompiler&) = delete;

  /// Whether requests are still served: false once the workers were ended.
  bool serves() const;

  /// Starts the kernels that are not under way yet and returns at once.
  void request(std::span<const codegen::KernelSpec> specs);

  /// The kernel: requested before, or now. Waits for it. Throws Error{compile} as compile_source does.
  CompiledKernel get(const codegen::KernelSpec& spec);

 private:
  using Result = std::shared_future<CompileOutcome>;

  /// The result of a kernel that is under way, or is put on its way; none once nothing is served any more.
  Result request_locked(const codegen::KernelSpec& spec);
  void serve() noexcept;
  void serve_until_idle();
  void take_requests(CompilePool& pool, std::map<std::size_t, std::promise<CompileOutcome>>& open);
  bool wait_for_requests();

  KernelCompilerOptions options_;
  pid_t process_ = getpid();
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool serves_ = true;  // guarded by mutex_, as what follows
  bool stopping_ = false;
  std::deque<std::pair<codegen::KernelSpec, std::promise<CompileOutcome>>> requests_;
  std::map<codegen::KernelSpec, Result> results_;  // requested and not taken
  std::thread thread_;                             // owns the pool
};

}  // namespace flexgemm::detail
