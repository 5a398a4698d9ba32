#include <chrono>
#include <csignal>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <flexgemm/error.hpp>

#include "codegen/emit.hpp"
#include "cuda/nvrtc.hpp"
#include "small_kernels.hpp"
#include "tuner/compile_pool.hpp"

using namespace flexgemm;
using namespace flexgemm::detail;
using namespace std::chrono_literals;

namespace {

std::vector<CompileOutcome> drain(CompilePool& pool) {
  std::vector<CompileOutcome> outcomes;
  while (pool.pending() > 0) {
    if (auto outcome = pool.wait(60s)) outcomes.push_back(std::move(*outcome));
  }
  return outcomes;
}

void need_nvrtc() {
  if (!nvrtc_problem().empty()) SKIP("no NVRTC: " << nvrtc_problem());
}

}  // namespace

TEST_CASE("messages survive being cut anywhere, and what is no message is refused") {
  const Message message{"name", "", std::string(100'000, 'x'), std::string("\0\1", 2)};
  const std::string bytes = encode(message) + encode({"next"});
  MessageReader reader;
  std::vector<Message> received;
  for (std::size_t at = 0; at < bytes.size(); at += 4093) {
    reader.append(bytes.data() + at, std::min<std::size_t>(4093, bytes.size() - at));
    while (auto one = reader.next()) received.push_back(*one);
  }
  REQUIRE(received.size() == 2);
  CHECK(received[0] == message);
  CHECK(received[1] == Message{"next"});

  MessageReader confused;
  confused.append("HTTP/1.1 200 OK\r\n", 17);
  CHECK_THROWS_AS(confused.next(), Error);
}

TEST_CASE("worker processes compile what one process would compile") {
  need_nvrtc();
  CompilePool pool({.jobs = 2, .worker_path = FLEXGEMM_WORKER});
  const auto specs = small_kernels(4);
  for (const auto& spec : specs) pool.submit(spec);
  std::set<std::size_t> tickets;
  for (const CompileOutcome& outcome : drain(pool)) {
    CAPTURE(outcome.problem);
    REQUIRE(outcome.kernel.has_value());
    tickets.insert(outcome.ticket);
    const codegen::KernelSpec& spec = specs.at(outcome.ticket);
    const CompiledKernel here =
        compile_source(codegen::emit(spec), codegen::to_string(spec), spec.architecture);
    CHECK(outcome.kernel->image == here.image);
    CHECK(reported(outcome.kernel->log, "registers") == reported(here.log, "registers"));
  }
  CHECK(tickets.size() == specs.size());
  CHECK(pool.workers() == 2);
}

TEST_CASE("a kernel that codegen or NVRTC rejects costs only itself") {
  need_nvrtc();
  CompilePool pool({.jobs = 1, .worker_path = FLEXGEMM_WORKER});
  auto specs = small_kernels(2);
  specs[0].in_channels = -1;
  for (const auto& spec : specs) pool.submit(spec);
  const auto outcomes = drain(pool);
  REQUIRE(outcomes.size() == 2);
  for (const CompileOutcome& outcome : outcomes) {
    CHECK(outcome.kernel.has_value() == (outcome.ticket == 1));
    CHECK(outcome.problem.empty() == (outcome.ticket == 1));
  }
}

TEST_CASE("a worker that crashes costs the kernel it was compiling, and says how it ended") {
  CompilePool pool({.jobs = 1, .worker_path = FLEXGEMM_CRASHING_WORKER});
  for (const auto& spec : small_kernels(2)) pool.submit(spec);
  const auto outcomes = drain(pool);
  REQUIRE(outcomes.size() == 2);
  for (const CompileOutcome& outcome : outcomes) {
    CHECK(!outcome.kernel.has_value());
    CHECK(outcome.problem.find("signal 9") != std::string::npos);
    CHECK(outcome.problem.find("gather_rows") != std::string::npos);
  }
}

TEST_CASE("without a worker program kernels are compiled in this process") {
  need_nvrtc();
  for (const std::string path : {"", "/nowhere/flexgemm-compile-worker"}) {
    CompilePool pool({.jobs = 2, .worker_path = path});
    pool.submit(small_kernels(1).front());
    const auto outcomes = drain(pool);
    REQUIRE(outcomes.size() == 1);
    CHECK(outcomes.front().kernel.has_value());
    CHECK(pool.workers() == 0);
  }
}

TEST_CASE("a compilation that takes too long is given up") {
  CompilePool pool({.jobs = 1, .worker_path = "/bin/cat", .time_limit = 300ms});  // reads, never answers
  pool.submit(small_kernels(1).front());
  const auto outcomes = drain(pool);
  REQUIRE(outcomes.size() == 1);
  CHECK(!outcomes.front().kernel.has_value());
}

namespace {

/// The one child of a process, 0 if the system does not tell.
pid_t child_of(pid_t process) {
  const std::string number = std::to_string(process);
  pid_t child = 0;
  std::ifstream("/proc/" + number + "/task/" + number + "/children") >> child;
  return child;
}

}  // namespace

TEST_CASE("workers end with the process that started them, idle or busy") {
  need_nvrtc();
  const bool busy = GENERATE(false, true);
  CAPTURE(busy);
  int report[2];
  REQUIRE(pipe(report) == 0);
  const pid_t parent = fork();  // no CUDA context exists in this test
  if (parent == 0) {
    // Its worker inherits the end of `report` that is not closed on exec, and so keeps it open while it
    // lives.
    close(report[0]);
    CompilePool pool({.jobs = 1, .worker_path = FLEXGEMM_WORKER});
    for (const auto& spec : small_kernels(busy ? 2 : 1)) pool.submit(spec);
    (void)pool.wait(60s);  // the second kernel is with the worker when the first is back
    const char ready = 'r';
    if (write(report[1], &ready, 1) != 1) _exit(1);
    pause();
  }
  close(report[1]);
  char byte = 0;
  REQUIRE(read(report[0], &byte, 1) == 1);
  const pid_t worker = child_of(parent);
  kill(parent, SIGKILL);
  waitpid(parent, nullptr, 0);
  // End of file comes only when the worker, too, is gone.
  pollfd end{.fd = report[0], .events = POLLIN, .revents = 0};
  const bool ended = poll(&end, 1, 20'000) == 1;
  CHECK(ended);
  if (ended) CHECK(read(report[0], &byte, 1) == 0);
  if (!ended && worker > 0) kill(worker, SIGKILL);
  close(report[0]);
}
