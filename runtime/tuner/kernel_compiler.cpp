#include "tuner/kernel_compiler.hpp"

#include <algorithm>
#include <utility>

#include <unistd.h>

#include "codegen/emit.hpp"
#include "core/log.hpp"
#include "cpu/thread_pool.hpp"
#include "cuda/nvrtc.hpp"

namespace flexgemm::detail {

namespace {

constexpr int most_jobs = 4;  // kernels of a forward and of a backward pass

CompilePoolOptions pool_options(const KernelCompilerOptions& options) {
  return {.jobs = options.jobs > 0 ? options.jobs : std::min(most_jobs, usable_processors()),
          .worker_path = options.worker_path,
          .compile_here = false};
}

/// Waits for a kernel; nothing, and a line in the log, if a worker could not make it.
std::optional<CompiledKernel> kernel_of(const std::shared_future<CompileOutcome>& result) {
  try {
    const CompileOutcome& outcome = result.get();
    if (!outcome.kernel) log(1, "a kernel is compiled in this process: {}", outcome.problem);
    return outcome.kernel;
  } catch (const std::future_error&) {  // the thread that serves has failed
    return std::nullopt;
  }
}

}  // namespace

KernelCompiler::KernelCompiler(KernelCompilerOptions options)
    : options_(std::move(options)), thread_([this] { serve(); }) {}

KernelCompiler::~KernelCompiler() {
  if (process_ != getpid()) {  // a forked process has no such thread, and no workers
    thread_.detach();
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool KernelCompiler::serves() const {
  const std::lock_guard lock(mutex_);
  return serves_;
}

KernelCompiler::Result KernelCompiler::request_locked(const codegen::KernelSpec& spec) {
  if (const auto known = results_.find(spec); known != results_.end()) return known->second;
  if (!serves_) return {};
  std::promise<CompileOutcome> promise;
  Result result = promise.get_future().share();
  results_.emplace(spec, result);
  requests_.emplace_back(spec, std::move(promise));
  return result;
}

void KernelCompiler::request(std::span<const codegen::KernelSpec> specs) {
  {
    const std::lock_guard lock(mutex_);
    for (const codegen::KernelSpec& spec : specs) request_locked(spec);
  }
  changed_.notify_all();
}

CompiledKernel KernelCompiler::get(const codegen::KernelSpec& spec) {
  Result result;
  {
    const std::lock_guard lock(mutex_);
    result = request_locked(spec);
  }
  changed_.notify_all();
  if (result.valid()) {
    std::optional<CompiledKernel> kernel = kernel_of(result);
    {
      const std::lock_guard lock(mutex_);
      results_.erase(spec);
    }
    if (kernel) return std::move(*kernel);
  }
  return compile_source(codegen::emit(spec), codegen::to_string(spec), spec.architecture);
}

void KernelCompiler::take_requests(CompilePool& pool,
                                   std::map<std::size_t, std::promise<CompileOutcome>>& open) {
  const std::lock_guard lock(mutex_);
  while (!requests_.empty()) {
    auto& [spec, promise] = requests_.front();
    open.emplace(pool.submit(spec), std::move(promise));
    requests_.pop_front();
  }
}

/// False when there is nothing more to do.
bool KernelCompiler::wait_for_requests() {
  std::unique_lock lock(mutex_);
  const bool woken =
      changed_.wait_for(lock, options_.patience, [this] { return stopping_ || !requests_.empty(); });
  if (woken && !stopping_) return true;
  serves_ = false;
  return false;
}

void KernelCompiler::serve() noexcept {
  try {
    serve_until_idle();
  } catch (...) {  // out of memory; who waits for a kernel finds its promise broken, and compiles it
    const std::lock_guard lock(mutex_);
    serves_ = false;
    requests_.clear();
  }
}

void KernelCompiler::serve_until_idle() {
  constexpr std::chrono::milliseconds slice(5);  // how long a request may wait for those under way
  std::map<std::size_t, std::promise<CompileOutcome>> open;
  CompilePool pool(pool_options(options_));
  pool.start_one();
  while (wait_for_requests()) {
    take_requests(pool, open);
    while (!open.empty()) {
      {
        const std::lock_guard lock(mutex_);
        if (stopping_) break;
      }
      if (std::optional<CompileOutcome> outcome = pool.wait(slice)) {
        const auto promise = open.find(outcome->ticket);
        promise->second.set_value(std::move(*outcome));
        open.erase(promise);
      }
      take_requests(pool, open);
    }
  }
}

}  // namespace flexgemm::detail
