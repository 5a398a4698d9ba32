#include "cache/cache_folder.hpp"

#include <cerrno>
#include <charconv>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include "core/environment.hpp"
#include "core/log.hpp"

namespace flexgemm::detail {

namespace {

using Kind = CacheFinding::Kind;
namespace fs = std::filesystem;

constexpr std::uint64_t default_limit_bytes = 1ull << 30;

struct Place {
  fs::path path;
  std::string origin;
};

/// The home folder that the system has on record for this user; empty if none.
std::string recorded_home() {
  std::vector<char> space(16384);
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(::geteuid(), &entry, space.data(), space.size(), &found) != 0 || found == nullptr) return {};
  return entry.pw_dir == nullptr ? "" : entry.pw_dir;
}

std::optional<Place> chosen_place(const CacheOptions& options) {
  if (!options.folder.empty()) return Place{options.folder, "CacheOptions::folder"};
  if (const auto folder = environment_variable("FLEXGEMM_CACHE_DIR"))
    return Place{*folder, "FLEXGEMM_CACHE_DIR"};
  if (const auto folder = environment_variable("XDG_CACHE_HOME")) {
    // The XDG base directory specification: a relative path is to be ignored.
    if (folder->starts_with('/')) return Place{fs::path(*folder) / "flexgemm", "XDG_CACHE_HOME"};
  }
  if (const auto home = environment_variable("HOME"); home && home->starts_with('/')) {
    return Place{fs::path(*home) / ".cache" / "flexgemm", "HOME"};
  }
  if (const std::string home = recorded_home(); home.starts_with('/')) {
    return Place{fs::path(home) / ".cache" / "flexgemm", "the user's entry in passwd"};
  }
  return std::nullopt;
}

std::optional<CacheFinding> switched_off(const CacheOptions& options) {
  if (!options.enabled) {
    return CacheFinding{Kind::switched_off,
                        {},
                        "The cache is switched off by CacheOptions::enabled.",
                        "Leave it at its default to use a cache."};
  }
  const auto text = environment_variable("FLEXGEMM_CACHE");
  if (text && (*text == "off" || *text == "0" || *text == "no" || *text == "false")) {
    return CacheFinding{Kind::switched_off,
                        {},
                        fmt::format("The cache is switched off by FLEXGEMM_CACHE={}.", *text),
                        "To use it, unset the variable."};
  }
  return std::nullopt;
}

std::uint64_t limit_of(const CacheOptions& options) {
  if (options.limit_bytes != 0) return options.limit_bytes;
  const auto text = environment_variable("FLEXGEMM_CACHE_LIMIT_MIB");
  if (!text) return default_limit_bytes;
  std::uint64_t mebibytes = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), mebibytes);
  if (error != std::errc{} || end != text->data() + text->size() || mebibytes == 0 ||
      mebibytes > (1ull << 40)) {
    report_once({Kind::unreadable,
                 {},
                 fmt::format("FLEXGEMM_CACHE_LIMIT_MIB is \"{}\", which is not a positive number.", *text),
                 fmt::format("The limit is {} MiB.", default_limit_bytes >> 20)});
    return default_limit_bytes;
  }
  return mebibytes << 20;
}

CacheFinding not_openable(const fs::path& path, int error) {
  return {
      Kind::unreadable, path, fmt::format("{} could not be opened: {}.", path.string(), system_words(error)),
      "The run goes on without it. Point FLEXGEMM_CACHE_DIR to a folder that this user may read and write."};
}

CacheFinding not_made(const fs::path& path, int error) {
  return {Kind::no_folder, path,
          fmt::format("The cache folder {} could not be made: {}.", path.string(), system_words(error)),
          "The run goes on without it. Point FLEXGEMM_CACHE_DIR to a folder that this user may write to."};
}

CacheFinding absent_folder(const fs::path& path) {
  return {Kind::no_folder, path, fmt::format("{} does not exist.", path.string()),
          "It is made when the first kernel is stored."};
}

/// Makes a folder and its parents, for this user alone. Returns an errno, or 0 if they are there.
int make_folders(const fs::path& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return 0;
  if (errno != ENOENT || !path.has_relative_path()) return errno;
  if (const int error = make_folders(path.parent_path()); error != 0) return error;
  return ::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST ? 0 : errno;
}

/// A link may stand for the cache's folder if whoever made it could have put the folder there as well.
std::optional<CacheFinding> distrust_link(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISLNK(status.st_mode) || status.st_uid == 0 ||
      status.st_uid == ::geteuid()) {
    return std::nullopt;
  }
  return CacheFinding{
      Kind::untrusted, path,
      fmt::format("The cache folder {} is a symbolic link that another user (user {}) made: it is not "
                  "followed.",
                  path.string(), status.st_uid),
      "Remove the link, or point FLEXGEMM_CACHE_DIR to a folder of your own."};
}

/// Opens and checks a folder; an errno of ENOENT becomes absent_folder.
Outcome<OpenFolder> open_checked(int parent, const std::string& name, const fs::path& path, int more_flags) {
  OpenFolder folder{
      FileDescriptor(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | more_flags)), path};
  if (!folder.descriptor) {
    const int error = errno;
    struct stat status {};
    const bool is_link =
        ::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode);
    if (error == ENOENT && is_link) {
      return CacheFinding{
          Kind::unreadable, path,
          fmt::format("{} is a symbolic link to a folder that does not exist.", path.string()),
          "The run goes on without it. Make that folder, or remove the link."};
    }
    if (error == ENOENT) return absent_folder(path);
    if ((error == ENOTDIR || error == ELOOP) && is_link) {
      return CacheFinding{
          Kind::untrusted, path,
          fmt::format("{} is a symbolic link; links in a cache are not followed.", path.string()),
          "Remove it; the cache makes the folder anew."};
    }
    return not_openable(path, error);
  }
  struct stat status {};
  if (::fstat(folder.descriptor.number(), &status) != 0) return not_openable(path, errno);
  if (auto finding = distrust(status, path)) return *finding;
  return folder;
}

}  // namespace

CacheFolder::CacheFolder(fs::path path, std::string origin, std::uint64_t limit_bytes)
    : path_(std::move(path)), origin_(std::move(origin)), limit_bytes_(limit_bytes) {}

Outcome<std::shared_ptr<const CacheFolder>> CacheFolder::locate(const CacheOptions& options) {
  if (auto finding = switched_off(options)) return *finding;
  const std::optional<Place> place = chosen_place(options);
  if (!place) {
    return CacheFinding{
        Kind::no_folder,
        {},
        fmt::format("There is no place for the kernel cache: HOME is not set, and user {} has no home "
                    "folder on record.",
                    ::geteuid()),
        "The run goes on without one. Set FLEXGEMM_CACHE_DIR to a folder that this user may write "
        "to."};
  }
  std::error_code error;
  fs::path path = fs::absolute(place->path, error);
  if (error) return not_openable(place->path, error.value());
  path = path.lexically_normal();
  if (!path.has_filename() && path.has_relative_path()) path = path.parent_path();  // a slash at the end
  return std::make_shared<const CacheFolder>(path, place->origin, limit_of(options));
}

Outcome<OpenFolder> CacheFolder::open(Absent absent) const {
  if (absent == Absent::make) {
    if (const int error = make_folders(path_); error != 0) return not_made(path_, error);
  }
  if (auto finding = distrust_link(path_)) return *finding;
  return open_checked(AT_FDCWD, path_.string(), path_, 0);
}

Outcome<OpenFolder> CacheFolder::open(const std::string& inner, Absent absent) const {
  const Outcome<OpenFolder> outer = open(absent);
  if (!outer) return outer.problem();
  const fs::path path = path_ / inner;
  if (absent == Absent::make && ::mkdirat(outer->descriptor.number(), inner.c_str(), 0700) != 0 &&
      errno != EEXIST) {
    return not_made(path, errno);
  }
  return open_checked(outer->descriptor.number(), inner, path, O_NOFOLLOW);
}

Outcome<FolderLock> CacheFolder::lock() const {
  const Outcome<OpenFolder> folder = open(Absent::leave);
  if (!folder) return folder.problem();
  return FolderLock::acquire(*folder);
}

}  // namespace flexgemm::detail
