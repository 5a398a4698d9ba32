#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "codegen/emit.hpp"
#include "cuda/nvrtc.hpp"
#include "scene/temporary_folder.hpp"
#include "small_kernels.hpp"
#include "tuner/kernel_compiler.hpp"

using namespace flexgemm;
using namespace flexgemm::detail;
using namespace std::chrono_literals;

namespace {

/// What this process makes of a kernel.
bool is_compiled_here(const CompiledKernel& kernel, const codegen::KernelSpec& spec) {
  return kernel.image ==
         compile_source(codegen::emit(spec), codegen::to_string(spec), spec.architecture).image;
}

/// What a worker that compiles nothing makes of a kernel.
bool is_noted(const CompiledKernel& kernel, const codegen::KernelSpec& spec) {
  return std::string(kernel.image.begin(), kernel.image.end()) == to_string(spec);
}

/// Where workers that compile nothing note what they were asked for.
class Notes {
 public:
  Notes() { setenv("NOTES", path().c_str(), 1); }
  std::vector<std::string> lines() const {
    std::vector<std::string> lines;
    std::ifstream file(path());
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }

 private:
  std::string path() const { return (folder_.path() / "notes").string(); }
  TemporaryFolder folder_;
};

template <class Condition>
bool becomes_true(Condition&& condition) {
  for (int i = 0; i < 2000 && !condition(); ++i) std::this_thread::sleep_for(10ms);
  return condition();
}

void need_nvrtc() {
  if (!nvrtc_problem().empty()) SKIP("no NVRTC: " << nvrtc_problem());
}

/// In a process that ends beside a running thread, or was forked from one with a thread, which is gone then.
bool cannot_account_for_memory = false;

/// How a process that runs `body` ends: what it returns, 128 + the signal that killed it. It exits as a
/// program does; one that hangs gets an alarm.
template <class Body>
int exit_of_process(Body&& body) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    cannot_account_for_memory = true;
    std::exit(body());
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

/// LeakSanitizer asks this before it looks for leaks; without it nobody does.
extern "C" [[gnu::visibility("default")]] int
__lsan_is_turned_off() {  // NOLINT(bugprone-reserved-identifier)
  return cannot_account_for_memory ? 1 : 0;
}

TEST_CASE("kernels of a pass compile side by side, for any number of threads") {
  const Notes notes;
  KernelCompiler compiler({.jobs = 2, .worker_path = FLEXGEMM_NOTING_WORKER});
  const auto specs = small_kernels(2, 32);
  std::vector<std::future<bool>> noted;
  for (std::size_t thread = 0; thread < 8; ++thread) {
    noted.push_back(std::async(std::launch::async, [&, spec = specs[thread % 2]] {
      compiler.request(specs);
      return is_noted(compiler.get(spec), spec);
    }));
  }
  for (auto& each : noted) CHECK(each.get());
  CHECK(notes.lines().size() >= 2);
}

TEST_CASE("a kernel under way is not asked for again") {
  const Notes notes;
  KernelCompiler compiler({.jobs = 1, .worker_path = FLEXGEMM_NOTING_WORKER});
  auto specs = small_kernels(4, 32);
  specs.erase(specs.begin());  // would wait for another worker
  compiler.request(specs);
  compiler.request(specs);
  for (const auto& spec : specs) CHECK(is_noted(compiler.get(spec), spec));
  CHECK(notes.lines().size() == specs.size());
}

TEST_CASE("whatever keeps a worker from its kernel, the thread that needs it compiles it") {
  need_nvrtc();
  const auto specs = small_kernels(2, 32);
  for (const char* worker : {"/nowhere/flexgemm-compile-worker", "/bin/true", FLEXGEMM_CRASHING_WORKER}) {
    INFO(worker);
    KernelCompiler compiler({.jobs = 1, .worker_path = worker});
    compiler.request(specs);
    for (const auto& spec : specs) {
      CHECK(is_compiled_here(compiler.get(spec), spec));
    }
  }
}

TEST_CASE("what a worker compiles is what this process would compile") {
  need_nvrtc();
  KernelCompiler compiler({.jobs = 1, .worker_path = FLEXGEMM_WORKER});
  const codegen::KernelSpec spec = small_kernels(1, 32).front();
  CHECK(is_compiled_here(compiler.get(spec), spec));
}

TEST_CASE("workers without work are ended; what they made is kept, what they did not is compiled here") {
  need_nvrtc();
  const Notes notes;
  const auto specs = small_kernels(3, 32);
  KernelCompiler compiler({.jobs = 2, .worker_path = FLEXGEMM_NOTING_WORKER, .patience = 100ms});
  compiler.request(std::span(specs).first(2));
  REQUIRE(becomes_true([&] { return !compiler.serves(); }));
  REQUIRE(becomes_true([] { return waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }));
  CHECK(is_noted(compiler.get(specs[0]), specs[0]));
  CHECK(is_compiled_here(compiler.get(specs[2]), specs[2]));
  CHECK(notes.lines().size() == 2);
}

TEST_CASE("a process may exit, and may fork, while its kernels compile") {
  for (const int delay : {0, 1, 2, 5, 10, 20, 40}) {
    INFO(delay << " ms");
    const auto under_way = [delay] {
      auto* compiler = new KernelCompiler({.jobs = 2, .worker_path = FLEXGEMM_WORKER});  // is never destroyed
      compiler->request(small_kernels(4, 32));
      std::this_thread::sleep_for(std::chrono::milliseconds(delay));
      return compiler;
    };
    CHECK(exit_of_process([&] {
            under_way();
            return 0;
          }) == 0);
    CHECK(exit_of_process([&] {
            const std::unique_ptr<KernelCompiler> compiler(under_way());
            return 0;
          }) == 0);
    CHECK(exit_of_process([&] {
            const KernelCompiler* compiler = under_way();
            const int end = exit_of_process([&] {
              delete compiler;
              return 7;
            });
            return end == 7 ? 0 : 1;
          }) == 0);
  }
}
