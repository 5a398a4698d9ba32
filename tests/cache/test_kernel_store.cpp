#include <algorithm>
#include <ctime>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/disk_kernel_store.hpp"
#include "cache/kernel_file.hpp"
#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::detail;
using namespace flexgemm::cache_test;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

bool saved(DiskKernelStore& store, const MadeKernel& kernel) {
  return store.save(kernel.hash, kernel.spec, kernel.compiled);
}

bool loads(DiskKernelStore& store, const MadeKernel& kernel) {
  const auto loaded = store.load(kernel.hash, kernel.spec);
  return loaded && loaded->image == kernel.compiled.image && loaded->is_ptx == kernel.compiled.is_ptx &&
         loaded->log == kernel.compiled.log;
}

fs::path kernel_path(const fs::path& cache, const MadeKernel& kernel) {
  return cache / "kernels" / (kernel.hash + ".cubin");
}

void set_date(const fs::path& file, std::time_t date) {
  const timespec times[2] = {{.tv_sec = date, .tv_nsec = 0}, {.tv_sec = date, .tv_nsec = 0}};
  REQUIRE(::utimensat(AT_FDCWD, file.c_str(), times, 0) == 0);
}

std::time_t date_of(const fs::path& file) {
  struct stat status {};
  REQUIRE(::stat(file.c_str(), &status) == 0);
  return status.st_mtime;
}

constexpr std::time_t day = 86400;

/// A cache of a few kernels of about 10 KB each, and the limit that they just keep.
struct FilledCache {
  static constexpr std::uint64_t kernels = 10;
  TemporaryFolder folder;
  std::uint64_t limit = 0;

  FilledCache() {
    DiskKernelStore store(cache_in(path()));
    for (std::uint64_t i = 0; i < kernels; ++i) {
      REQUIRE(saved(store, kernel(i)));
      limit += fs::file_size(file(i));
    }
  }
  fs::path path() const { return folder.path() / "cache"; }
  static MadeKernel kernel(std::uint64_t number) { return made_kernel(100 + number, 10000); }
  fs::path file(std::uint64_t number) const { return kernel_path(path(), kernel(number)); }
  void add_one() const {
    DiskKernelStore store(cache_in(path(), limit));
    REQUIRE(saved(store, kernel(kernels)));
  }
  std::uint64_t bytes() const {
    std::uint64_t total = 0;
    for (const std::string& name : files_in(path() / "kernels"))
      total += fs::file_size(path() / "kernels" / name);
    return total;
  }
};

}  // namespace

TEST_CASE("a kernel that was saved is loaded by the next process, and no other is") {
  const TemporaryFolder folder;
  const MadeKernel kernel = made_kernel(1);
  const ChildResult child = in_child([&] {
    DiskKernelStore store(cache_in(folder.path() / "deep" / "cache"));
    return saved(store, kernel);
  });
  CHECK(child.status == 0);
  CHECK(child.log.empty());
  DiskKernelStore store(cache_in(folder.path() / "deep" / "cache"));
  CHECK(loads(store, kernel));
  CHECK_FALSE(store.load(made_kernel(2).hash, made_kernel(2).spec));
  CHECK_FALSE(store.load(kernel.hash, made_kernel(2).spec));  // a spec that shares the hash
  CHECK_FALSE(store.load("../../outside", kernel.spec));
  CHECK_FALSE(store.save("../../outside", kernel.spec, kernel.compiled));
}

TEST_CASE("the cache is made for its user alone") {
  const TemporaryFolder folder;
  const mode_t before = ::umask(0);
  DiskKernelStore store(cache_in(folder.path() / "a" / "b"));
  const bool done = saved(store, made_kernel(1));
  ::umask(before);
  REQUIRE(done);
  const auto mode = [](const fs::path& path) { return static_cast<int>(fs::status(path).permissions()); };
  CHECK(mode(folder.path() / "a") == 0700);
  CHECK(mode(folder.path() / "a" / "b") == 0700);
  CHECK(mode(folder.path() / "a" / "b" / "kernels") == 0700);
  CHECK(mode(kernel_path(folder.path() / "a" / "b", made_kernel(1))) == 0600);
}

TEST_CASE("a file that cannot be believed is set aside, reported once, and made anew") {
  const TemporaryFolder folder;
  const MadeKernel kernel = made_kernel(3);
  {
    DiskKernelStore store(cache_in(folder.path()));
    REQUIRE(saved(store, kernel));
  }
  const fs::path file = kernel_path(folder.path(), kernel);
  std::vector<char> bytes = read_file(file);
  const char* words = "";
  SECTION("damaged") {
    bytes[bytes.size() / 2] ^= 1;
    words = "is damaged: its checksum does not match.";
  }
  SECTION("cut off") {
    bytes.resize(bytes.size() - 10);
    words = "is damaged: it has ";
  }
  SECTION("empty") {
    bytes.clear();
    words = "is damaged: it is cut off.";
  }
  SECTION("of another program") {
    bytes.assign(5000, 'x');
    words = "is not a file of FlexGEMM: it does not begin as a kernel file does.";
  }
  SECTION("of a newer version") {
    bytes[8] = 2;
    words = "was written by a newer version of FlexGEMM: it has the format version 2; this library reads 1.";
  }
  SECTION("another kernel under its name") {
    bytes = encode_kernel(image_of(made_kernel(4)));
    words = "is not a file of FlexGEMM: it holds the kernel ";
  }
  write_file(file, bytes);
  const ChildResult child = in_child([&] {
    DiskKernelStore store(cache_in(folder.path()));
    DiskKernelStore other(cache_in(folder.path()));
    if (store.load(kernel.hash, kernel.spec) || other.load(kernel.hash, kernel.spec)) return false;
    return saved(store, kernel) && loads(store, kernel);
  });
  CHECK(child.status == 0);
  CHECK_THAT(child.log, ContainsSubstring("flexgemm: cache: " + file.string() + " " + words));
  CHECK_THAT(child.log, ContainsSubstring("It is set aside and made anew when it is needed.\n"));
  CHECK(std::count(child.log.begin(), child.log.end(), '\n') == 1);
  CHECK(read_file(file.string() + ".bad") == bytes);
  DiskKernelStore store(cache_in(folder.path()));
  CHECK(loads(store, kernel));
}

TEST_CASE("a damaged file is not set aside when a sound one has taken its place") {
  const TemporaryFolder folder;
  const MadeKernel kernel = made_kernel(5);
  DiskKernelStore store(cache_in(folder.path()));
  REQUIRE(saved(store, kernel));
  const fs::path file = kernel_path(folder.path(), kernel);
  const std::vector<char> sound = read_file(file);
  write_file(file, {'x'});
  // A writer that holds the lock while the reader has already seen the damaged file.
  const auto cache = cache_in(folder.path());
  auto held = cache->lock();
  REQUIRE(held);
  std::optional<FolderLock> lock(std::move(*held));
  const ChildResult child = in_child([&] {
    const pid_t reader = ::fork();
    if (reader == 0) {
      DiskKernelStore late(cache_in(folder.path()));
      ::_exit(late.load(kernel.hash, kernel.spec) ? 1 : 0);
    }
    ::usleep(200000);
    write_file(file, sound);
    lock.reset();
    int status = 0;
    return ::waitpid(reader, &status, 0) == reader && status == 0;
  });
  lock.reset();
  CHECK(child.status == 0);
  CHECK(child.log.empty());
  CHECK(loads(store, kernel));
}

TEST_CASE("a kernel that the driver refused is not handed out again") {
  const TemporaryFolder folder;
  const MadeKernel kernel = made_kernel(6);
  DiskKernelStore store(cache_in(folder.path()));
  REQUIRE(saved(store, kernel));
  store.refuse(kernel.hash, kernel.spec, "the driver is too old");
  CHECK_FALSE(store.load(kernel.hash, kernel.spec));
}

TEST_CASE("beyond its limit the cache loses what was not used for the longest time") {
  const FilledCache cache;
  const std::time_t now = std::time(nullptr);
  for (std::uint64_t i = 0; i < FilledCache::kernels; ++i) {
    set_date(cache.file(i),
             now - (i == 0 ? 1 : static_cast<std::time_t>(20 - i)) * day);  // the first is the newest
  }
  cache.add_one();
  CHECK(cache.bytes() <= cache.limit - cache.limit / 10);
  CHECK(fs::exists(cache.file(0)));
  CHECK_FALSE(fs::exists(cache.file(1)));
  CHECK_FALSE(fs::exists(cache.file(2)));
  CHECK(fs::exists(cache.file(3)));
  CHECK(fs::exists(cache.file(FilledCache::kernels)));
}

TEST_CASE("loading a kernel keeps it, and writes its date at most once a day") {
  const FilledCache cache;
  DiskKernelStore store(cache_in(cache.path()));
  const std::time_t now = std::time(nullptr);
  set_date(cache.file(0), now - 30 * day);
  CHECK(loads(store, FilledCache::kernel(0)));
  CHECK(date_of(cache.file(0)) >= now);
  set_date(cache.file(1), now - day / 2);
  CHECK(loads(store, FilledCache::kernel(1)));
  CHECK(date_of(cache.file(1)) == now - day / 2);
}

TEST_CASE("after the clock was set back the cache loses what was not used since, and keeps its limit") {
  const FilledCache cache;
  const std::time_t now = std::time(nullptr);
  for (std::uint64_t i = 0; i < FilledCache::kernels; ++i) set_date(cache.file(i), now + 400 * day);
  {
    DiskKernelStore store(cache_in(cache.path()));
    for (const std::uint64_t used : {2u, 5u}) CHECK(loads(store, FilledCache::kernel(used)));
  }
  CHECK(date_of(cache.file(2)) <= now + 5);
  cache.add_one();
  CHECK(cache.bytes() <= cache.limit - cache.limit / 10);
  CHECK(fs::exists(cache.file(2)));
  CHECK(fs::exists(cache.file(5)));
  CHECK(fs::exists(cache.file(FilledCache::kernels)));
}

TEST_CASE("what was set aside goes first, and what dead processes left goes after a quarter of an hour") {
  const FilledCache cache;
  const fs::path kernels = cache.path() / "kernels";
  write_file(kernels / "0123456789abcdef.cubin.bad", std::vector<char>(20000));
  write_file(kernels / ".0123456789abcdef.cubin.1-1.tmp", std::vector<char>(10));
  write_file(kernels / ".0123456789abcdef.cubin.1-2.tmp", std::vector<char>(10));
  write_file(kernels / ".0123456789abcdef.cubin.1-3.tmp", std::vector<char>(10));
  set_date(kernels / ".0123456789abcdef.cubin.1-1.tmp", std::time(nullptr) - 1000);
  set_date(kernels / ".0123456789abcdef.cubin.1-2.tmp", std::time(nullptr) + 1000);  // the clock was set back
  DiskKernelStore store(cache_in(cache.path(), cache.limit * 125 / 100));
  REQUIRE(saved(store, FilledCache::kernel(20)));
  CHECK_FALSE(fs::exists(kernels / "0123456789abcdef.cubin.bad"));
  CHECK_FALSE(fs::exists(kernels / ".0123456789abcdef.cubin.1-1.tmp"));
  CHECK_FALSE(fs::exists(kernels / ".0123456789abcdef.cubin.1-2.tmp"));
  CHECK(fs::exists(kernels / ".0123456789abcdef.cubin.1-3.tmp"));
  for (std::uint64_t i = 0; i < FilledCache::kernels; ++i) CHECK(fs::exists(cache.file(i)));
}
