#include "tuner/compile_pool.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <utility>

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codegen/emit.hpp"
#include "core/environment.hpp"
#include "core/fail.hpp"
#include "core/log.hpp"
#include "cpu/thread_pool.hpp"

namespace flexgemm::detail {

namespace {

constexpr int most_jobs = 16;
/// A worker that crashes is replaced, up to so many starts for each job.
constexpr int starts_a_job = 4;

/// The file that holds this code: the shared library, or the program that it is linked into.
std::filesystem::path own_file() {
  Dl_info info{};
  std::error_code error;
  if (dladdr(reinterpret_cast<const void*>(&own_file), &info) != 0 && info.dli_fname != nullptr) {
    std::filesystem::path file = std::filesystem::canonical(info.dli_fname, error);
    if (!error) return file;
  }
  return std::filesystem::read_symlink("/proc/self/exe", error);
}

bool is_program(const std::string& path) { return access(path.c_str(), X_OK) == 0; }

std::string describe(int status) {
  if (WIFSIGNALED(status)) {
    return fmt::format("was ended by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  }
  return fmt::format("exited with status {}", WIFEXITED(status) ? WEXITSTATUS(status) : status);
}

/// How a worker is started: the socket as its standard input, nothing else inherited but standard error; no
/// signals blocked or ignored; a process group of its own.
class SpawnSettings {
 public:
  explicit SpawnSettings(int socket) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_adddup2(&actions_, socket, 0);
    posix_spawn_file_actions_addopen(&actions_, 1, "/dev/null", O_WRONLY, 0);
    if (verbosity() < 1) posix_spawn_file_actions_addopen(&actions_, 2, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attributes_);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes_, &none);
    sigset_t usual;
    sigemptyset(&usual);
    for (const int number : {SIGINT, SIGTERM, SIGPIPE, SIGHUP, SIGQUIT, SIGCHLD}) sigaddset(&usual, number);
    posix_spawnattr_setsigdefault(&attributes_, &usual);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  int spawn(pid_t& process, const std::string& path) {
    std::string name = path;
    char* arguments[] = {name.data(), nullptr};
    return posix_spawn(&process, path.c_str(), &actions_, &attributes_, arguments, environ);
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

}  // namespace

std::string compile_worker_path() {
  if (const auto path = environment_variable("FLEXGEMM_COMPILE_WORKER")) {
    if (is_program(*path)) return *path;
    log(1, "FLEXGEMM_COMPILE_WORKER is {}, which is no program: kernels are compiled in this process", *path);
    return {};
  }
  constexpr const char* program = "flexgemm-compile-worker";
  const std::filesystem::path folder = own_file().parent_path();
  for (const std::filesystem::path& place :
       {folder / program, folder / FLEXGEMM_LIBEXEC_FROM_LIBRARY / program,
        folder / "../libexec/flexgemm" / program}) {
    if (is_program(place.string())) return place.string();
  }
  return {};
}

CompilePool::CompilePool(CompilePoolOptions options) : options_(std::move(options)) {
  if (options_.jobs <= 0) options_.jobs = std::min(usable_processors(), most_jobs);
  if (!options_.worker_path.empty()) starts_left_ = starts_a_job * options_.jobs;
}

CompilePool::~CompilePool() {
  for (Worker& worker : workers_) {
    if (worker.process == 0) continue;
    kill(worker.process, SIGKILL);  // it may be in the middle of a compilation that nobody wants any more
    end_of(worker);
  }
}

void CompilePool::start_one() {
  if (workers_.empty() && starts_left_ > 0) start_worker();
}

std::size_t CompilePool::submit(const codegen::KernelSpec& spec) {
  queue_.push_back({next_ticket_, spec});
  return next_ticket_++;
}

int CompilePool::workers() const noexcept {
  return static_cast<int>(std::count_if(workers_.begin(), workers_.end(),
                                        [](const Worker& worker) { return worker.process != 0; }));
}

std::size_t CompilePool::under_way() const noexcept {
  return static_cast<std::size_t>(std::count_if(
      workers_.begin(), workers_.end(), [](const Worker& worker) { return worker.task.has_value(); }));
}

bool CompilePool::start_worker() {
  --starts_left_;
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) return false;
  pid_t process = 0;
  const int error = SpawnSettings(sockets[1]).spawn(process, options_.worker_path);
  close(sockets[1]);
  if (error != 0) {
    log(1, "the compile worker {} cannot be started: {}", options_.worker_path, std::strerror(error));
    close(sockets[0]);
    starts_left_ = 0;
    return false;
  }
  workers_.push_back({.process = process, .socket = sockets[0], .reader = {}, .task = {}, .started = {}});
  return true;
}

void CompilePool::start_workers() {
  std::erase_if(workers_, [](const Worker& worker) { return worker.process == 0; });
  std::size_t idle = workers_.size() - under_way();
  while (idle < queue_.size() && workers_.size() < static_cast<std::size_t>(options_.jobs) &&
         starts_left_ > 0 && start_worker()) {
    ++idle;
  }
  for (Worker& worker : workers_) feed(worker);
}

void CompilePool::feed(Worker& worker) {
  if (worker.process == 0 || worker.task || queue_.empty()) return;
  worker.task = std::move(queue_.front());
  queue_.pop_front();
  worker.started = std::chrono::steady_clock::now();
  const codegen::KernelSpec& spec = worker.task->spec;
  try {
    const std::string request =
        encode({codegen::to_string(spec), codegen::to_string(spec.architecture), codegen::emit(spec)});
    if (!send_all(worker.socket, request)) bury(worker, "ended before it took the kernel");
  } catch (const std::exception& error) {  // a spec that codegen rejects
    finished_.push_back({worker.task->ticket, std::nullopt, error.what()});
    worker.task.reset();
  }
}

std::string CompilePool::end_of(Worker& worker) noexcept {
  int status = 0;
  while (waitpid(worker.process, &status, 0) < 0 && errno == EINTR) {
  }
  close(worker.socket);
  worker.process = 0;
  worker.socket = -1;
  try {
    return describe(status);
  } catch (...) {
    return {};
  }
}

void CompilePool::bury(Worker& worker, const std::string& why) {
  kill(worker.process, SIGKILL);  // a dead one is only collected
  const std::string end = end_of(worker);
  if (!worker.task) return;
  finished_.push_back({worker.task->ticket, std::nullopt,
                       fmt::format("the compile worker {} while it compiled {}", why.empty() ? end : why,
                                   codegen::to_string(worker.task->spec))});
  worker.task.reset();
}

void CompilePool::read_from(Worker& worker) {
  char buffer[65536];
  const ssize_t count = recv(worker.socket, buffer, sizeof(buffer), MSG_DONTWAIT);
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (count <= 0) return bury(worker, "");
  try {
    worker.reader.append(buffer, static_cast<std::size_t>(count));
    const std::optional<Message> message = worker.reader.next();
    if (!message) return;
    if (!worker.task || message->size() != 4) return bury(worker, "sent an answer to no question");
    CompileOutcome outcome{worker.task->ticket, std::nullopt, {}};
    if (message->at(0) == "ok") {
      outcome.kernel = CompiledKernel{.image = {message->at(2).begin(), message->at(2).end()},
                                      .is_ptx = message->at(1) == "ptx",
                                      .log = message->at(3)};
    } else {
      outcome.problem = message->at(0);
    }
    worker.task.reset();
    finished_.push_back(std::move(outcome));
  } catch (const Error& error) {
    bury(worker, error.what());
  }
}

void CompilePool::kill_late_workers() {
  const auto now = std::chrono::steady_clock::now();
  for (Worker& worker : workers_) {
    if (worker.process != 0 && worker.task && now - worker.started > options_.time_limit) {
      bury(worker, fmt::format("took more than {} s", options_.time_limit.count() / 1000));
    }
  }
}

bool CompilePool::poll_workers(std::chrono::milliseconds timeout) {
  std::vector<pollfd> sockets;
  std::vector<std::size_t> owners;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (workers_[i].process == 0) continue;
    sockets.push_back({.fd = workers_[i].socket, .events = POLLIN, .revents = 0});
    owners.push_back(i);
  }
  if (sockets.empty()) return false;
  if (poll(sockets.data(), sockets.size(), static_cast<int>(timeout.count())) <= 0) return true;
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    if (sockets[i].revents != 0) read_from(workers_[owners[i]]);
  }
  return true;
}

CompileOutcome CompilePool::compile_here() {
  const Task task = std::move(queue_.front());
  queue_.pop_front();
  if (!options_.compile_here) {
    return {task.ticket, std::nullopt,
            fmt::format("no compile worker could be started for {}", codegen::to_string(task.spec))};
  }
  try {
    return {task.ticket,
            compile_source(codegen::emit(task.spec), codegen::to_string(task.spec), task.spec.architecture),
            {}};
  } catch (const std::exception& error) {
    return {task.ticket, std::nullopt, error.what()};
  }
}

std::optional<CompileOutcome> CompilePool::wait(std::chrono::milliseconds timeout) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds slice(200);  // how often late workers are looked for
  const auto end = Clock::now() + timeout;
  while (true) {
    start_workers();
    if (finished_.empty() && workers() > 0) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
      poll_workers(std::clamp(left, std::chrono::milliseconds(0), slice));
      kill_late_workers();
    }
    if (!finished_.empty()) {
      CompileOutcome outcome = std::move(finished_.front());
      finished_.pop_front();
      start_workers();  // whoever has become free goes on while the caller is busy
      return outcome;
    }
    if (queue_.empty() && under_way() == 0) return std::nullopt;
    if (workers() == 0 && starts_left_ <= 0) return compile_here();
    if (Clock::now() >= end) return std::nullopt;
  }
}

}  // namespace flexgemm::detail
