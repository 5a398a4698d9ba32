#include "cache/files.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <system_error>
#include <thread>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/file.h>
#include <unistd.h>

namespace flexgemm::detail {

namespace {

using Kind = CacheFinding::Kind;

constexpr const char* temporary_suffix = ".tmp";

std::string user_words(uid_t user) {
  std::vector<char> space(4096);
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(user, &entry, space.data(), space.size(), &found) == 0 && found != nullptr) {
    return fmt::format("{} (user {})", entry.pw_name, user);
  }
  return fmt::format("user {}", user);
}

/// What a failed write means: about the folder, so that a run with many kernels says it once.
CacheFinding write_failure(const std::filesystem::path& folder, int error) {
  std::string remedy = "The run goes on; its kernels and tuning results are lost with the process.";
  if (error == ENOSPC || error == EDQUOT) {
    remedy += " Free space on the disk, or point FLEXGEMM_CACHE_DIR to another one.";
  } else if (error == EROFS || error == EACCES || error == EPERM) {
    remedy += " Point FLEXGEMM_CACHE_DIR to a folder that this user may write to.";
  }
  return {Kind::read_only, folder,
          fmt::format("{} could not be written: {}.", folder.string(), system_words(error)), remedy};
}

CacheFinding read_failure(const std::filesystem::path& path, int error) {
  return {Kind::unreadable, path,
          fmt::format("{} could not be read: {}.", path.string(), system_words(error)),
          "It is left alone and counts as absent."};
}

CacheFinding link_failure(const std::filesystem::path& path) {
  return {Kind::untrusted, path,
          fmt::format("{} is a symbolic link; links in a cache are not followed.", path.string()),
          "Remove it; the cache writes the file anew."};
}

int write_all(int file, std::span<const char> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), std::min<std::size_t>(bytes.size(), 1u << 30));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return 0;
}

int read_all(int file, std::span<char> bytes, std::size_t& read_bytes) {
  read_bytes = 0;
  while (read_bytes < bytes.size()) {
    const ssize_t got = ::read(file, bytes.data() + read_bytes, bytes.size() - read_bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) break;
    read_bytes += static_cast<std::size_t>(got);
  }
  return 0;
}

/// fsync, where a file system has it.
int flush(int file) {
  if (::fsync(file) == 0 || errno == EINVAL || errno == ENOTSUP) return 0;
  return errno;
}

}  // namespace

FileDescriptor::~FileDescriptor() {
  if (number_ >= 0) ::close(number_);
}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

std::string system_words(int error) { return std::generic_category().message(error); }

std::optional<CacheFinding> distrust(const struct stat& status, const std::filesystem::path& path) {
  const std::string name = path.string();
  if (status.st_uid != ::geteuid() && status.st_uid != 0) {
    return CacheFinding{
        Kind::untrusted, path,
        fmt::format("{} belongs to {}, and a cache is code that the GPU runs: it is not used.", name,
                    user_words(status.st_uid)),
        "Remove it, or point FLEXGEMM_CACHE_DIR to a folder of your own."};
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return CacheFinding{
        Kind::untrusted, path,
        fmt::format(
            "{} may be written by {} (mode {:04o}), and a cache is code that the GPU runs: it is not used.",
            name, (status.st_mode & S_IWOTH) != 0 ? "everybody" : "its group", status.st_mode & 07777),
        fmt::format("If nobody has tampered with it: chmod go-w '{}'", name)};
  }
  return std::nullopt;
}

Outcome<std::optional<FileBytes>> read_trusted(const OpenFolder& folder, const std::string& name) {
  const std::filesystem::path path = folder.path / name;
  FileBytes file;
  file.descriptor = FileDescriptor(::openat(folder.descriptor.number(), name.c_str(),
                                            O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.descriptor) {
    const int error = errno;
    if (error == ENOENT) return std::optional<FileBytes>();
    return error == ELOOP ? link_failure(path) : read_failure(path, error);
  }
  if (::fstat(file.descriptor.number(), &file.status) != 0) return read_failure(path, errno);
  if (!S_ISREG(file.status.st_mode)) {
    return CacheFinding{Kind::foreign, path, fmt::format("{} is not a regular file.", path.string()),
                        "Remove it; the cache writes the file anew."};
  }
  if (auto finding = distrust(file.status, path)) return *finding;
  const auto size = static_cast<std::uint64_t>(file.status.st_size);
  if (size > most_file_bytes) {
    return CacheFinding{
        Kind::foreign, path,
        fmt::format("{} has {} bytes; no file of a cache is that large.", path.string(), size),
        "Remove it; the cache writes the file anew."};
  }
  file.bytes.resize(static_cast<std::size_t>(size));
  std::size_t read_bytes = 0;
  if (const int error = read_all(file.descriptor.number(), file.bytes, read_bytes); error != 0) {
    return read_failure(path, error);
  }
  file.bytes.resize(read_bytes);
  return std::optional<FileBytes>(std::move(file));
}

bool any_name_in(const OpenFolder& folder, const std::function<bool(const std::string&)>& wanted) {
  const int copy = ::openat(folder.descriptor.number(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return false;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy), ::closedir);
  if (stream == nullptr) {
    ::close(copy);
    return false;
  }
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != ".." && wanted(name)) return true;
  }
  return false;
}

std::vector<std::string> names_in(const OpenFolder& folder) {
  std::vector<std::string> names;
  any_name_in(folder, [&names](const std::string& name) {
    names.push_back(name);
    return false;
  });
  std::sort(names.begin(), names.end());
  return names;
}

TemporaryFile::TemporaryFile(const OpenFolder& folder, std::string name, std::string temporary)
    : folder_(&folder), name_(std::move(name)), temporary_(std::move(temporary)) {}

TemporaryFile::TemporaryFile(TemporaryFile&& other) noexcept
    : folder_(other.folder_),
      name_(std::move(other.name_)),
      temporary_(std::exchange(other.temporary_, std::string())) {}

TemporaryFile::~TemporaryFile() {
  if (!temporary_.empty()) ::unlinkat(folder_->descriptor.number(), temporary_.c_str(), 0);
}

Outcome<TemporaryFile> TemporaryFile::write(const OpenFolder& folder, const std::string& name,
                                            std::span<const char> bytes, mode_t mode) {
  static std::atomic<unsigned> counter{0};
  FileDescriptor file;
  std::string temporary;
  for (int attempt = 0; !file && attempt < 100; ++attempt) {  // a name may be taken: process numbers repeat
    temporary = fmt::format(".{}.{}-{}{}", name, ::getpid(), counter.fetch_add(1), temporary_suffix);
    file = FileDescriptor(::openat(folder.descriptor.number(), temporary.c_str(),
                                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!file && errno != EEXIST) break;
  }
  if (!file) return write_failure(folder.path, errno);
  TemporaryFile result(folder, name, temporary);
  int error = write_all(file.number(), bytes);
  if (error == 0) error = flush(file.number());
  if (error != 0) return write_failure(folder.path, error);
  return result;
}

std::optional<CacheFinding> TemporaryFile::publish() {
  const int folder = folder_->descriptor.number();
  if (::renameat(folder, temporary_.c_str(), folder, name_.c_str()) != 0) {
    return write_failure(folder_->path, errno);
  }
  temporary_.clear();
  return std::nullopt;
}

std::optional<CacheFinding> flush_folder(const OpenFolder& folder) {
  if (const int error = flush(folder.descriptor.number()); error != 0)
    return write_failure(folder.path, error);
  return std::nullopt;
}

bool is_temporary_name(const std::string& name) {
  return name.starts_with('.') && name.ends_with(temporary_suffix);
}
bool is_set_aside_name(const std::string& name) { return name.ends_with(set_aside_suffix); }

int remove_left_overs(const OpenFolder& folder) {
  constexpr std::time_t least_age = 15 * 60;
  const std::time_t now = std::time(nullptr);
  int removed = 0;
  for (const std::string& name : names_in(folder)) {
    struct stat status {};
    if (!is_temporary_name(name) ||
        ::fstatat(folder.descriptor.number(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;
    }
    if (std::abs(now - status.st_mtime) > least_age &&
        ::unlinkat(folder.descriptor.number(), name.c_str(), 0) == 0) {
      ++removed;
    }
  }
  return removed;
}

namespace {

/// Whether the lock's file is still the one in the folder: somebody may have removed the folder's content.
bool is_in_place(const OpenFolder& folder, int file) {
  struct stat held {};
  struct stat named {};
  return ::fstat(file, &held) == 0 &&
         ::fstatat(folder.descriptor.number(), FolderLock::file_name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

}  // namespace

Outcome<FolderLock> FolderLock::acquire(const OpenFolder& folder, std::chrono::milliseconds patience) {
  const std::filesystem::path path = folder.path / file_name;
  const auto deadline = std::chrono::steady_clock::now() + patience;
  auto pause = std::chrono::microseconds(100);
  FileDescriptor file;
  while (true) {
    if (!file) {
      file = FileDescriptor(::openat(folder.descriptor.number(), file_name,
                                     O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600));
      if (!file) return errno == ELOOP ? link_failure(path) : write_failure(folder.path, errno);
    }
    if (::flock(file.number(), LOCK_EX | LOCK_NB) == 0) {
      if (is_in_place(folder, file.number())) return FolderLock(std::move(file));
      file = FileDescriptor();
    } else if (errno != EWOULDBLOCK && errno != EINTR) {
      return write_failure(folder.path, errno);
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      return CacheFinding{
          Kind::read_only, path,
          fmt::format("{} is held by a live process since more than {} seconds.", path.string(),
                      std::chrono::duration_cast<std::chrono::seconds>(patience).count()),
          "The run goes on; what it wanted to store is lost with the process. See which process has the file "
          "open: "
          "fuser -v '" +
              path.string() + "'"};
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(3000));
  }
}

FolderLock::~FolderLock() {
  // Not only closed: a child that was forked meanwhile has the descriptor too.
  if (file_) ::flock(file_.number(), LOCK_UN);
}

}  // namespace flexgemm::detail
