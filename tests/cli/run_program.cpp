#include "run_program.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace flexgemm::test {

namespace {

void require(bool succeeded, const char* call) {
  if (!succeeded) throw std::system_error(errno, std::generic_category(), call);
}

/// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() { close(); }
  int number() const noexcept { return number_; }
  void close() noexcept {
    if (number_ >= 0) ::close(std::exchange(number_, -1));
  }

 private:
  int number_;
};

/// Where a child writes, and where its parent reads it.
struct Channel {
  Descriptor read_end;
  Descriptor write_end;
};

Channel make_pipe() {
  std::array<int, 2> ends{};
  require(pipe2(ends.data(), O_CLOEXEC) == 0, "pipe2");
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

Channel make_terminal() {
  Descriptor master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  require(master.number() >= 0 && grantpt(master.number()) == 0 && unlockpt(master.number()) == 0,
          "posix_openpt");
  std::array<char, 128> name{};
  require(ptsname_r(master.number(), name.data(), name.size()) == 0, "ptsname_r");
  Descriptor slave(open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  require(slave.number() >= 0, "open of a terminal");
  return {std::move(master), std::move(slave)};
}

/// Appends what can be read now; false at the end. (A terminal ends with an error when its last writer goes.)
bool read_available(int descriptor, std::string& text) {
  std::array<char, 65536> buffer{};
  const ssize_t count = read(descriptor, buffer.data(), buffer.size());
  if (count > 0) text.append(buffer.data(), static_cast<std::size_t>(count));
  return count > 0 || (count < 0 && errno == EINTR);
}

void read_until_closed(int out_descriptor, int err_descriptor, ProgramRun& run) {
  std::array<pollfd, 2> waiting{{{out_descriptor, POLLIN, 0}, {err_descriptor, POLLIN, 0}}};
  std::array<std::string*, 2> texts{&run.out, &run.err};
  while (waiting[0].fd >= 0 || waiting[1].fd >= 0) {
    if (poll(waiting.data(), waiting.size(), -1) < 0) {
      require(errno == EINTR, "poll");
      continue;
    }
    for (std::size_t index = 0; index < waiting.size(); ++index) {
      if (waiting[index].fd < 0 || waiting[index].revents == 0) continue;
      if (!read_available(waiting[index].fd, *texts[index])) waiting[index].fd = -1;
    }
  }
}

}  // namespace

ProgramRun run_command(const std::vector<std::string>& command, Stderr stderr_kind) {
  Channel out = make_pipe();
  Channel err = stderr_kind == Stderr::terminal ? make_terminal() : make_pipe();
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out.write_end.number(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.write_end.number(), STDERR_FILENO);
  pid_t child = 0;
  errno = posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  const bool spawned = errno == 0;
  posix_spawn_file_actions_destroy(&actions);
  require(spawned, arguments[0]);
  out.write_end.close();
  err.write_end.close();

  ProgramRun run;
  read_until_closed(out.read_end.number(), err.read_end.number(), run);
  int status = 0;
  require(waitpid(child, &status, 0) == child, "waitpid");
  run.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return run;
}

ProgramRun flexgemm_run(std::vector<std::string> arguments, Stderr stderr_kind) {
  arguments.insert(arguments.begin(), FLEXGEMM_RUN_PROGRAM);
  return run_command(arguments, stderr_kind);
}

ProgramRun flexgemm_run_in_shell(const std::string& script) {
  return run_command({"/bin/sh", "-c", "program='" FLEXGEMM_RUN_PROGRAM "'; " + script});
}

nlohmann::json flexgemm_run_json(std::vector<std::string> arguments) {
  arguments.emplace_back("--json");
  const ProgramRun run = flexgemm_run(std::move(arguments));
  CHECK(run.err == "");
  REQUIRE(run.exit_code == 0);
  return nlohmann::json::parse(run.out);  // throws if anything but one JSON value was printed
}

void check_refused(const ProgramRun& run, int exit_code, const std::string& words) {
  CHECK(run.exit_code == exit_code);
  CHECK(run.out == "");
  CHECK_THAT(run.err, Catch::Matchers::StartsWith("flexgemm-run: "));
  CHECK_THAT(run.err, Catch::Matchers::ContainsSubstring(words));
  CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
}

}  // namespace flexgemm::test
