// Many processes, one cache: nothing that a process reported saved is lost, nothing is ever damaged, nobody
// waits forever.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <random>
#include <set>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/disk_kernel_store.hpp"
#include "cache/tuning_store.hpp"
#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::detail;
using namespace flexgemm::cache_test;
namespace fs = std::filesystem;

namespace {

constexpr int writers = 8;
constexpr int rounds = 200;
constexpr std::int64_t devices = 16;
constexpr int first_victim = 1000;

/// What a writer stores in a round: something of its own, and every fourth time what all writers store.
std::uint64_t number_of(int writer, int round) {
  return static_cast<std::uint64_t>(round % 4 == 3 ? round : writer * 100000 + round);
}
MadeKernel kernel_of(std::uint64_t number) { return made_kernel(number, 1000 + number % 7 * 3000); }

/// A line of a report that outlives its process.
void report(int file, char kind, std::uint64_t number) {
  const std::string line = fmt::format("{} {}\n", kind, number);
  if (::write(file, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::_exit(9);
}

/// Stores kernels and tuning results and reports each that was said to be saved. Each round looks at the disk
/// anew, as a new process would.
[[noreturn]] void write_rounds(const fs::path& folder, const fs::path& report_path, int writer, int count) {
  ::alarm(100);
  const int file = ::open(report_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  for (int round = 0; round < count; ++round) {
    const std::uint64_t number = number_of(writer, round);
    const MadeKernel kernel = kernel_of(number);
    DiskKernelStore kernels(cache_in(folder));
    TuningStore tuning(cache_in(folder));
    if (kernels.save(kernel.hash, kernel.spec, kernel.compiled)) report(file, 'k', number);
    if (tuning.save(made_entry(static_cast<std::int64_t>(number), devices))) report(file, 't', number);
  }
  ::_exit(0);
}

/// Loads what writers may have stored, until it is told to stop. Whatever is found must be right.
[[noreturn]] void read_until_stopped(const fs::path& folder, const fs::path& stop) {
  ::alarm(100);
  std::mt19937 generator(1);
  DiskKernelStore kernels(cache_in(folder));
  TuningStore tuning(cache_in(folder));
  std::int64_t found = 0;
  while (!fs::exists(stop)) {
    const std::uint64_t number =
        number_of(static_cast<int>(generator() % writers), static_cast<int>(generator() % rounds));
    const MadeKernel kernel = kernel_of(number);
    if (const auto loaded = kernels.load(kernel.hash, kernel.spec)) {
      if (loaded->image != kernel.compiled.image) ::_exit(2);
      ++found;
    }
    const TuningEntry entry = made_entry(static_cast<std::int64_t>(number), devices);
    if (const auto result = tuning.find(entry.key)) {
      if (*result != entry) ::_exit(3);
      ++found;
    }
  }
  ::_exit(found > 0 ? 0 : 4);
}

pid_t start(const std::function<void()>& run) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) run();
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// True once all of the processes have ended; takes their statuses.
bool have_ended(std::vector<pid_t>& children, std::vector<int>& statuses) {
  std::erase_if(children, [&](pid_t child) {
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) != child) return false;
    statuses.push_back(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return true;
  });
  return children.empty();
}

struct Saved {
  std::set<std::uint64_t> kernels;
  std::set<std::uint64_t> tuning;
};

Saved read_reports(const fs::path& folder) {
  Saved saved;
  for (const std::string& name : files_in(folder)) {
    const std::vector<char> bytes = read_file(folder / name);
    std::string_view text(bytes.data(), bytes.size());
    for (std::size_t end = 0; (end = text.find('\n')) != std::string_view::npos;
         text.remove_prefix(end + 1)) {
      (text[0] == 'k' ? saved.kernels : saved.tuning)
          .insert(std::stoull(std::string(text.substr(2, end - 2))));
    }
  }
  return saved;
}

}  // namespace

TEST_CASE(
    "8 processes write 200 rounds, one reads, others are killed at random points: nothing is lost or "
    "damaged") {
  // In memory where that can be: thousands of waits for a busy disk would show nothing here.
  const char* given = std::getenv("TMPDIR");
  const std::string before = given == nullptr ? "" : given;
  if (::access("/dev/shm", W_OK | X_OK) == 0) ::setenv("TMPDIR", "/dev/shm", 1);
  const TemporaryFolder folder;
  before.empty() ? ::unsetenv("TMPDIR") : ::setenv("TMPDIR", before.c_str(), 1);
  const fs::path cache = folder.path() / "cache";
  const fs::path reports = folder.path() / "reports";
  const fs::path stop = folder.path() / "stop";
  fs::create_directory(reports);
  std::vector<pid_t> children;
  for (int writer = 0; writer < writers; ++writer) {
    children.push_back(start([&] { write_rounds(cache, reports / fmt::to_string(writer), writer, rounds); }));
  }
  const pid_t reader = start([&] { read_until_stopped(cache, stop); });

  std::mt19937 generator(std::random_device{}());
  std::vector<int> statuses;
  int killed = 0;
  while (!have_ended(children, statuses)) {
    const int victim = first_victim + killed;
    const pid_t child =
        start([&] { write_rounds(cache, reports / fmt::to_string(victim), victim, 1000000); });
    ::usleep(static_cast<useconds_t>(generator() % 60000));
    ::kill(child, SIGKILL);
    CHECK(wait_for(child) == 128 + SIGKILL);
    ++killed;
  }
  write_file(stop, {});
  CHECK(wait_for(reader) == 0);
  CHECK(statuses == std::vector<int>(writers, 0));

  const Saved saved = read_reports(reports);
  INFO(killed << " processes were killed");
  CHECK(killed > 10);
  CHECK(saved.kernels.size() >= writers * rounds / 4 * 3);
  CHECK(saved.tuning.size() >= writers * rounds / 4 * 3);
  DiskKernelStore kernels(cache_in(cache));
  TuningStore tuning(cache_in(cache));
  int lost = 0;
  for (const std::uint64_t number : saved.kernels) {
    const MadeKernel kernel = kernel_of(number);
    const auto loaded = kernels.load(kernel.hash, kernel.spec);
    if (!loaded || loaded->image != kernel.compiled.image) ++lost;
  }
  for (const std::uint64_t number : saved.tuning) {
    const TuningEntry entry = made_entry(static_cast<std::int64_t>(number), devices);
    if (tuning.find(entry.key) != entry) ++lost;
  }
  CHECK(lost == 0);
  for (const CacheFinding& finding : diagnose_cache(options_for(cache)).findings) {
    INFO(finding.problem);
    CHECK((finding.kind == CacheFinding::Kind::left_over || finding.kind == CacheFinding::Kind::outdated));
  }
  const std::size_t found = files_in(cache / "kernels").size();
  CHECK(found >= saved.kernels.size());
}

TEST_CASE("a lock left by a process that was killed is taken over at once") {
  const TemporaryFolder folder;
  const auto cache = cache_in(folder.path());
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t holder = start([&] {
    const auto lock = cache->lock();
    const char told = lock ? 'y' : 'n';
    if (::write(ready[1], &told, 1) != 1) ::_exit(1);
    ::pause();
    ::_exit(0);
  });
  char told = 0;
  REQUIRE(::read(ready[0], &told, 1) == 1);
  REQUIRE(told == 'y');
  const auto opened = cache->open(CacheFolder::Absent::leave);
  REQUIRE(opened);
  const auto refused = FolderLock::acquire(*opened, std::chrono::milliseconds(50));
  REQUIRE_FALSE(refused);
  CHECK(refused.problem().problem.find("is held by a live process") != std::string::npos);
  ::kill(holder, SIGKILL);
  CHECK(wait_for(holder) == 128 + SIGKILL);
  CHECK(FolderLock::acquire(*opened, std::chrono::milliseconds(50)));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_CASE("a lock is not kept by a child that was forked while it was held") {
  const TemporaryFolder folder;
  const auto cache = cache_in(folder.path());
  pid_t child = 0;
  {
    const auto lock = cache->lock();
    REQUIRE(lock);
    child = start([] {
      ::alarm(20);
      ::pause();
      ::_exit(0);
    });
  }
  const auto opened = cache->open(CacheFolder::Absent::leave);
  REQUIRE(opened);
  CHECK(FolderLock::acquire(*opened, std::chrono::milliseconds(50)));
  ::kill(child, SIGKILL);
  wait_for(child);
}
