// Where a cache is, whom it trusts, and what happens where nothing can be written: each with its sentence.
#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <flexgemm/error.hpp>

#include "cache/disk_kernel_store.hpp"
#include "cache/tuning_store.hpp"
#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::detail;
using namespace flexgemm::cache_test;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

/// Sets environment variables of a child process: an empty value unsets.
void set_environment(std::initializer_list<std::pair<const char*, std::string>> variables) {
  for (const char* name :
       {"FLEXGEMM_CACHE", "FLEXGEMM_CACHE_DIR", "FLEXGEMM_CACHE_LIMIT_MIB", "XDG_CACHE_HOME", "HOME"}) {
    ::unsetenv(name);
  }
  for (const auto& [name, value] : variables) ::setenv(name, value.c_str(), 1);
}

/// One kernel and one tuning result go through the cache: saved, and found by other stores.
struct Persistence {
  bool kernels = false;
  bool tuning = false;
  friend bool operator==(const Persistence&, const Persistence&) = default;
};
constexpr Persistence all{true, true};
constexpr Persistence none{false, false};

Persistence persistence(const fs::path& folder) {
  const auto cache = cache_in(folder);
  const MadeKernel kernel = made_kernel(1);
  const TuningEntry entry = made_entry(1);
  DiskKernelStore kernels(cache);
  TuningStore tuning(cache);
  Persistence result;
  result.kernels = kernels.save(kernel.hash, kernel.spec, kernel.compiled);
  result.tuning = tuning.save(entry);
  // The run has them either way; the next process only what was saved.
  if (tuning.find(entry.key) != entry) throw std::runtime_error("a tuning result was lost in the process");
  DiskKernelStore next_kernels(cache);
  TuningStore next_tuning(cache);
  if (next_kernels.load(kernel.hash, kernel.spec).has_value() != result.kernels ||
      next_tuning.find(entry.key).has_value() != result.tuning) {
    throw std::runtime_error("what was saved and what is found differ");
  }
  return result;
}

/// A folder inside a temporary one, both owned by an ordinary user.
struct UserFolder {
  TemporaryFolder outer;
  std::optional<uid_t> user = ordinary_user();
  fs::path path = outer.path() / "cache";

  UserFolder() {
    fs::create_directory(path);
    fs::permissions(path, fs::perms::owner_all);
    give_to(outer.path(), user);
  }
  ChildResult expect(Persistence expected) const {
    return in_child([&] { return persistence(path) == expected; }, user);
  }
  CacheReport report() const { return diagnose_cache(options_for(path)); }
};

bool has_finding(const CacheReport& report, CacheFinding::Kind kind) {
  return std::any_of(report.findings.begin(), report.findings.end(), [&](const CacheFinding& finding) {
    return finding.kind == kind && !finding.remedy.empty();
  });
}

}  // namespace

TEST_CASE("the cache's folder is what the options say, else the environment, else the home folder") {
  const ChildResult child = in_child([] {
    const auto origin = [](const CacheOptions& options = {}) {
      return cache_folder(options).string() + " by " + diagnose_cache(options).origin;
    };
    set_environment({{"FLEXGEMM_CACHE_DIR", "/x/own/"}, {"XDG_CACHE_HOME", "/x/xdg"}, {"HOME", "/x/home"}});
    if (origin({.enabled = true, .folder = "/x/option", .limit_bytes = 0}) !=
        "/x/option by CacheOptions::folder")
      return false;
    if (origin() != "/x/own by FLEXGEMM_CACHE_DIR") return false;
    set_environment({{"XDG_CACHE_HOME", "/x/xdg"}, {"HOME", "/x/home"}});
    if (origin() != "/x/xdg/flexgemm by XDG_CACHE_HOME") return false;
    set_environment({{"XDG_CACHE_HOME", "relative"}, {"HOME", "/x/home"}});
    if (origin() != "/x/home/.cache/flexgemm by HOME") return false;
    set_environment({{"FLEXGEMM_CACHE_DIR", "relative"}});
    return cache_folder() == fs::current_path() / "relative";
  });
  CHECK(child.status == 0);
  CHECK(child.log.empty());
}

TEST_CASE("without HOME the cache is in the home folder on record, or there is none and one line says so") {
  const ChildResult recorded = in_child([] {
    set_environment({});
    return cache_folder().string().ends_with("/.cache/flexgemm");
  });
  CHECK(recorded.status == 0);
  if (::geteuid() != 0) SKIP("only root can become a user without an entry in passwd");
  const ChildResult child = in_child(
      [] {
        set_environment({});
        report_once(CacheFolder::locate({}).problem());
        report_once(CacheFolder::locate({}).problem());
        const CacheReport report = diagnose_cache();
        try {
          clear_cache();
          return false;
        } catch (const Error& error) {
          return error.code() == ErrorCode::io && cache_folder().empty() && !report.usable &&
                 has_finding(report, CacheFinding::Kind::no_folder);
        }
      },
      uid_t{54321});
  CHECK(child.status == 0);
  CHECK(child.log ==
        "flexgemm: cache: There is no place for the kernel cache: HOME is not set, and user 54321 has no "
        "home folder "
        "on record. The run goes on without one. Set FLEXGEMM_CACHE_DIR to a folder that this user may write "
        "to.\n");
}

TEST_CASE("a home folder that does not exist and cannot be made costs persistence and one line") {
  const UserFolder folder;
  fs::permissions(folder.path, fs::perms::owner_read | fs::perms::owner_exec);
  const ChildResult child = in_child(
      [&] {
        set_environment({{"HOME", (folder.path / "absent").string()}});
        const auto cache = *CacheFolder::locate({});
        DiskKernelStore store(cache);
        const MadeKernel kernel = made_kernel(1);
        return !store.save(kernel.hash, kernel.spec, kernel.compiled) &&
               !store.save(kernel.hash, kernel.spec, kernel.compiled);
      },
      folder.user);
  CHECK(child.status == 0);
  CHECK_THAT(child.log,
             ContainsSubstring("The cache folder " + (folder.path / "absent/.cache/flexgemm").string() +
                               " could not be made: Permission denied. The run goes on without it."));
  CHECK(std::count(child.log.begin(), child.log.end(), '\n') == 1);
}

TEST_CASE("the cache is switched off by the options or the environment") {
  const ChildResult child = in_child([] {
    set_environment({{"HOME", "/x/home"}});
    const CacheOptions off{.enabled = false, .folder = "/x/option", .limit_bytes = 0};
    if (!cache_folder(off).empty() || !has_finding(diagnose_cache(off), CacheFinding::Kind::switched_off))
      return false;
    set_environment({{"HOME", "/x/home"}, {"FLEXGEMM_CACHE", "off"}});
    return cache_folder().empty() && has_finding(diagnose_cache(), CacheFinding::Kind::switched_off);
  });
  CHECK(child.status == 0);
}

TEST_CASE("the limit is what the options say, else the environment, else 1 GiB") {
  const ChildResult child = in_child([] {
    set_environment({{"HOME", "/x"}});
    if (diagnose_cache().limit_bytes != 1ull << 30) return false;
    set_environment({{"HOME", "/x"}, {"FLEXGEMM_CACHE_LIMIT_MIB", "300"}});
    if (diagnose_cache().limit_bytes != 300ull << 20) return false;
    if (diagnose_cache({.enabled = true, .folder = {}, .limit_bytes = 7}).limit_bytes != 7) return false;
    set_environment({{"HOME", "/x"}, {"FLEXGEMM_CACHE_LIMIT_MIB", "plenty"}});
    return diagnose_cache().limit_bytes == 1ull << 30;
  });
  CHECK(child.status == 0);
  CHECK(child.log ==
        "flexgemm: cache: FLEXGEMM_CACHE_LIMIT_MIB is \"plenty\", which is not a positive number. The limit "
        "is 1024 "
        "MiB.\n");
}

TEST_CASE("paths with spaces and letters beyond ASCII") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "Zwischenablage für Kerne" / "キャッシュ 'x' \"y\"";
  const ChildResult child = in_child([&] { return persistence(path) == all; });
  CHECK(child.status == 0);
  CHECK(child.log.empty());
  const CacheReport report = diagnose_cache(options_for(path));
  CHECK(report.folder == path);
  CHECK(report.kernels == 1);
  CHECK(report.tuning_entries == 1);
  CHECK(report.usable);
  CHECK(report.writable);
}

TEST_CASE("a read-only folder costs persistence, not the run; what it holds is used") {
  const UserFolder folder;
  REQUIRE(folder.expect(all).status == 0);
  const fs::path kernels = folder.path / "kernels";
  for (const fs::path& path : {kernels, folder.path / "tuning", folder.path}) {
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_exec);
  }
  const ChildResult child = in_child(
      [&] {
        const auto cache = cache_in(folder.path);
        DiskKernelStore store(cache);
        TuningStore tuning(cache);
        const MadeKernel old = made_kernel(1);
        const MadeKernel fresh = made_kernel(2);
        const CacheReport report = diagnose_cache(options_for(folder.path));
        return store.load(old.hash, old.spec) && !store.save(fresh.hash, fresh.spec, fresh.compiled) &&
               tuning.find(made_entry(1).key) && !tuning.save(made_entry(2)) &&
               tuning.find(made_entry(2).key) && report.usable && !report.writable &&
               has_finding(report, CacheFinding::Kind::read_only);
      },
      folder.user);
  CHECK(child.status == 0);
  CHECK_THAT(child.log,
             ContainsSubstring(" could not be written: Permission denied. The run goes on; its kernels and "
                               "tuning results are lost with the process. Point FLEXGEMM_CACHE_DIR to a "
                               "folder that this user may write to."));
  for (const fs::path& path : {folder.path, kernels, folder.path / "tuning"}) {
    fs::permissions(path, fs::perms::owner_all);
  }
}

TEST_CASE("a damaged file in a read-only folder is ignored and says so") {
  const UserFolder folder;
  REQUIRE(folder.expect(all).status == 0);
  const fs::path file = folder.path / "kernels" / (made_kernel(1).hash + ".cubin");
  write_file(file, {'x'});
  give_to(folder.path, folder.user);
  for (const fs::path& path : {folder.path / "kernels", folder.path}) {
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_exec);
  }
  const ChildResult child = in_child(
      [&] {
        DiskKernelStore store(cache_in(folder.path));
        return !store.load(made_kernel(1).hash, made_kernel(1).spec);
      },
      folder.user);
  for (const fs::path& path : {folder.path, folder.path / "kernels"})
    fs::permissions(path, fs::perms::owner_all);
  CHECK(child.status == 0);
  CHECK_THAT(child.log, ContainsSubstring(file.string() + " is damaged"));
  CHECK(fs::exists(file));
}

TEST_CASE("a full disk costs persistence, not the run, and leaves nothing half written") {
  const TemporaryFolder folder;
  const fs::path disk = folder.path() / "disk";
  fs::create_directory(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=256k,mode=0700") != 0) {
    SKIP("a small tmpfs cannot be mounted here: only root may");
  }
  const ChildResult child = in_child([&] {
    DiskKernelStore store(cache_in(disk / "cache"));
    TuningStore tuning(cache_in(disk / "cache"));
    int saved = 0;
    int lost = 0;
    for (std::uint64_t i = 0; i < 40; ++i) {
      const MadeKernel kernel = made_kernel(i, 20000);
      const bool kept = store.save(kernel.hash, kernel.spec, kernel.compiled);
      (kept ? saved : lost) += 1;
      if (store.load(kernel.hash, kernel.spec).has_value() != kept) return false;
    }
    write_file(disk / "filler", std::vector<char>());
    try {
      write_file(disk / "filler", std::vector<char>(1 << 20));
    } catch (const std::runtime_error&) {  // as far as it goes
    }
    if (tuning.save(made_entry(1)) || !tuning.find(made_entry(1).key)) return false;
    const CacheReport report = diagnose_cache(options_for(disk / "cache"));
    return saved > 3 && lost > 3 && report.kernels == saved && report.usable && !report.writable &&
           !has_finding(report, CacheFinding::Kind::left_over) &&
           report.findings[0].problem == "The disk of " + (disk / "cache").string() + " is full.";
  });
  ::umount(disk.c_str());
  CHECK(child.status == 0);
  CHECK_THAT(child.log,
             ContainsSubstring(" could not be written: No space left on device. The run goes on; its kernels "
                               "and tuning results are lost with the process. Free space on the disk"));
}

TEST_CASE("a folder that its group or others may write to is refused") {
  const UserFolder folder;
  REQUIRE(folder.expect(all).status == 0);
  const fs::path refused = GENERATE(fs::path(), fs::path("kernels"), fs::path("tuning"));
  const bool group = GENERATE(true, false);
  const fs::path path = refused.empty() ? folder.path : folder.path / refused;
  fs::permissions(path, fs::perms::owner_all | (group ? fs::perms::group_all : fs::perms::others_write));
  const ChildResult child =
      folder.expect(refused.empty() ? none : Persistence{refused != "kernels", refused != "tuning"});
  CHECK(child.status == 0);
  CHECK_THAT(child.log,
             ContainsSubstring(
                 path.string() + " may be written by " +
                 (group ? "its group (mode 0770)" : "everybody (mode 0702)") +
                 ", and a cache is code that the GPU runs: it is not used. If nobody has tampered with "
                 "it: chmod go-w '" +
                 path.string() + "'\n"));
}

TEST_CASE("a folder or a file that belongs to another user is refused") {
  if (::geteuid() != 0) SKIP("only root can give files away");
  const UserFolder folder;
  REQUIRE(folder.expect(all).status == 0);
  const MadeKernel kernel = made_kernel(1);
  constexpr uid_t stranger = 54321;
  SECTION("the folder") {
    give_to(folder.path, stranger);
    fs::permissions(folder.path, fs::perms::owner_all | fs::perms::others_read | fs::perms::others_exec);
    const ChildResult child = folder.expect(none);
    CHECK(child.status == 0);
    CHECK_THAT(child.log,
               ContainsSubstring(folder.path.string() +
                                 " belongs to user 54321, and a cache is code that the GPU runs: it is not "
                                 "used. Remove it, or point FLEXGEMM_CACHE_DIR to a folder of your own.\n"));
    const ChildResult report = in_child(
        [&] {
          return !folder.report().usable && has_finding(folder.report(), CacheFinding::Kind::untrusted);
        },
        folder.user);
    CHECK(report.status == 0);
  }
  SECTION("a kernel") {
    const fs::path file = folder.path / "kernels" / (kernel.hash + ".cubin");
    REQUIRE(::chown(file.c_str(), stranger, stranger) == 0);
    fs::permissions(file, fs::perms(0644));
    const ChildResult child = in_child(
        [&] {
          DiskKernelStore store(cache_in(folder.path));
          return !store.load(kernel.hash, kernel.spec);
        },
        folder.user);
    CHECK(child.status == 0);
    CHECK_THAT(child.log, ContainsSubstring(file.string() + " belongs to user 54321"));
  }
  SECTION("root trusts no one else's either") {
    const ChildResult child = in_child([&] { return persistence(folder.path) == none; });
    CHECK(child.status == 0);
    CHECK_THAT(child.log, ContainsSubstring(" belongs to nobody (user 65534)"));
  }
  SECTION("what root made is trusted") {
    give_to(folder.path, uid_t{0});
    for (const fs::path& path : {folder.path, folder.path / "kernels"})
      fs::permissions(path, fs::perms(0755));
    fs::permissions(folder.path / "kernels" / (kernel.hash + ".cubin"), fs::perms(0644));
    const ChildResult child = in_child(
        [&] {
          DiskKernelStore store(cache_in(folder.path));
          return store.load(kernel.hash, kernel.spec).has_value();
        },
        folder.user);
    CHECK(child.status == 0);
  }
}

TEST_CASE("symbolic links in a cache are not followed") {
  const UserFolder folder;
  REQUIRE(folder.expect(all).status == 0);
  const fs::path kernels = folder.path / "kernels";
  const fs::path file = kernels / (made_kernel(1).hash + ".cubin");
  SECTION("a kernel: refused, and replaced by the next save") {
    fs::rename(file, folder.outer.path() / "elsewhere");
    fs::create_symlink(folder.outer.path() / "elsewhere", file);
    give_to(folder.outer.path(), folder.user);
    const std::vector<char> before = read_file(folder.outer.path() / "elsewhere");
    const ChildResult child = in_child(
        [&] {
          DiskKernelStore store(cache_in(folder.path));
          const MadeKernel kernel = made_kernel(1);
          return !store.load(kernel.hash, kernel.spec) &&
                 store.save(kernel.hash, kernel.spec, kernel.compiled) &&
                 store.load(kernel.hash, kernel.spec);
        },
        folder.user);
    CHECK(child.status == 0);
    CHECK(child.log ==
          "flexgemm: cache: " + file.string() +
              " is a symbolic link; links in a cache are not followed. Remove it; the cache writes the "
              "file anew.\n");
    CHECK_FALSE(fs::is_symlink(file));
    CHECK(read_file(folder.outer.path() / "elsewhere") == before);
  }
  SECTION("a tuning file: refused, and replaced by the next save") {
    const fs::path tuning = folder.path / "tuning" / files_in(folder.path / "tuning").front();
    fs::rename(tuning, folder.outer.path() / "elsewhere");
    fs::create_symlink(folder.outer.path() / "elsewhere", tuning);
    give_to(folder.outer.path(), folder.user);
    const ChildResult child = in_child(
        [&] {
          TuningStore store(cache_in(folder.path));
          return !store.find(made_entry(1).key) && store.save(made_entry(2)) && !fs::is_symlink(tuning);
        },
        folder.user);
    CHECK(child.status == 0);
    CHECK_THAT(child.log, ContainsSubstring(tuning.string() +
                                            " is a symbolic link; links in a cache are not followed."));
  }
  SECTION("the lock") {
    fs::remove(folder.path / "lock");
    fs::create_symlink(folder.outer.path() / "elsewhere", folder.path / "lock");
    give_to(folder.outer.path(), folder.user);
    const ChildResult child = in_child(
        [&] {
          DiskKernelStore store(cache_in(folder.path));
          const MadeKernel old = made_kernel(1);
          const MadeKernel fresh = made_kernel(2);
          return store.load(old.hash, old.spec) && !store.save(fresh.hash, fresh.spec, fresh.compiled) &&
                 !TuningStore(cache_in(folder.path)).save(made_entry(2));
        },
        folder.user);
    CHECK(child.status == 0);
    CHECK_THAT(child.log, ContainsSubstring((folder.path / "lock").string() + " is a symbolic link"));
    CHECK_FALSE(fs::exists(folder.outer.path() / "elsewhere"));
  }
  SECTION("a folder in it") {
    fs::rename(kernels, folder.outer.path() / "elsewhere");
    fs::create_directory_symlink(folder.outer.path() / "elsewhere", kernels);
    give_to(folder.outer.path(), folder.user);
    const ChildResult child = folder.expect({.kernels = false, .tuning = true});
    CHECK(child.status == 0);
    CHECK_THAT(child.log,
               ContainsSubstring(kernels.string() + " is a symbolic link; links in a cache are not followed. "
                                                    "Remove it; the cache makes the folder anew.\n"));
  }
}

TEST_CASE("the cache's folder itself may be a link of this user's, not one of another's") {
  const UserFolder folder;
  const fs::path link = folder.outer.path() / "link";
  fs::create_directory_symlink(folder.path, link);
  give_to(folder.outer.path(), folder.user);
  CHECK(in_child([&] { return persistence(link) == all; }, folder.user).status == 0);
  fs::permissions(folder.path, fs::perms(0777));
  CHECK(in_child([&] { return persistence(link) == none; }, folder.user).status == 0);
  fs::permissions(folder.path, fs::perms::owner_all);
  if (::geteuid() != 0) SKIP("only root can give links away");
  REQUIRE(::lchown(link.c_str(), 54321, 54321) == 0);
  const ChildResult child = in_child([&] { return persistence(link) == none; }, folder.user);
  CHECK(child.status == 0);
  CHECK_THAT(child.log, ContainsSubstring(
                            "The cache folder " + link.string() +
                            " is a symbolic link that another user (user 54321) made: it is not followed."));
}

TEST_CASE("a link that points nowhere, a file and a pipe in place of a folder or a file are no cache") {
  const UserFolder folder;
  const fs::path link = folder.outer.path() / "link";
  fs::create_directory_symlink(folder.outer.path() / "absent", link);
  const fs::path file = folder.outer.path() / "file";
  write_file(file, {'x'});
  give_to(folder.outer.path(), folder.user);
  const ChildResult nowhere = in_child([&] { return persistence(link) == none; }, folder.user);
  CHECK(nowhere.status == 0);
  CHECK_THAT(nowhere.log,
             ContainsSubstring(link.string() + " is a symbolic link to a folder that does not exist."));
  const ChildResult child = in_child([&] { return persistence(file) == none; }, folder.user);
  CHECK(child.status == 0);
  CHECK_THAT(child.log, ContainsSubstring(file.string() + " could not be opened: Not a directory."));
  REQUIRE(folder.expect(all).status == 0);
  const fs::path kernel = folder.path / "kernels" / (made_kernel(1).hash + ".cubin");
  fs::remove(kernel);
  REQUIRE(::mkfifo(kernel.c_str(), 0600) == 0);
  give_to(folder.path, folder.user);
  const ChildResult pipe = in_child(
      [&] {
        DiskKernelStore store(cache_in(folder.path));
        return !store.load(made_kernel(1).hash, made_kernel(1).spec);
      },
      folder.user);
  CHECK(pipe.status == 0);
  CHECK_THAT(pipe.log, ContainsSubstring(kernel.string() + " is not a regular file."));
}

TEST_CASE("a cache that is removed while it is in use is made again") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "cache";
  DiskKernelStore store(cache_in(path));
  TuningStore tuning(cache_in(path));
  const MadeKernel kernel = made_kernel(1);
  for (int round = 0; round < 3; ++round) {
    REQUIRE(store.save(kernel.hash, kernel.spec, kernel.compiled));
    REQUIRE(tuning.save(made_entry(round)));
    REQUIRE(store.load(kernel.hash, kernel.spec));
    fs::remove_all(path);
    REQUIRE_FALSE(store.load(kernel.hash, kernel.spec));
    REQUIRE(tuning.find(made_entry(round).key));
  }
}
