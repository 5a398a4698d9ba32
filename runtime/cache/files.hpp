#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>

#include "cache/finding.hpp"

namespace flexgemm::detail {

/// An open file or folder, closed with its scope.
class FileDescriptor {
 public:
  explicit FileDescriptor(int number = -1) noexcept : number_(number) {}
  ~FileDescriptor();
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;

  int number() const noexcept { return number_; }
  explicit operator bool() const noexcept { return number_ >= 0; }

 private:
  int number_;
};

/// A folder that is open and trusted. Everything in it is reached through the descriptor, so that nobody can
/// exchange it in between.
struct OpenFolder {
  FileDescriptor descriptor;
  std::filesystem::path path;  ///< for messages
};

/// Words of the system for an errno.
std::string system_words(int error);

/// Why a folder or file cannot be trusted, as a finding; nothing if it can: it belongs to this user or to
/// root, and neither its group nor others may write to it.
std::optional<CacheFinding> distrust(const struct stat& status, const std::filesystem::path& path);

/// A file that was read whole.
struct FileBytes {
  FileDescriptor descriptor;
  struct stat status {};
  std::vector<char> bytes;
};

/// Largest file that is read: no kernel and no tuning file comes near.
inline constexpr std::uint64_t most_file_bytes = 256ull << 20;

/// Reads a file of a cache. Nothing if it does not exist; a finding if it is a link, not a regular file, not
/// to be trusted, too large, or unreadable.
Outcome<std::optional<FileBytes>> read_trusted(const OpenFolder& folder, const std::string& name);

/// Names in a folder, sorted, without "." and "..".
std::vector<std::string> names_in(const OpenFolder& folder);

/// Whether `wanted` is true for a name in a folder; asks no further then.
bool any_name_in(const OpenFolder& folder, const std::function<bool(const std::string&)>& wanted);

/// A new file under a temporary name in the folder where it is to appear; removed unless it was published.
class TemporaryFile {
 public:
  /// Writes the bytes and waits until they are on the disk. The file is readable by this user alone.
  static Outcome<TemporaryFile> write(const OpenFolder& folder, const std::string& name,
                                      std::span<const char> bytes, mode_t mode = 0600);
  ~TemporaryFile();
  TemporaryFile(TemporaryFile&& other) noexcept;
  TemporaryFile& operator=(TemporaryFile&&) = delete;

  /// Gives the file its name, replacing what had it. flush_folder makes that last. A finding if it failed.
  std::optional<CacheFinding> publish();

 private:
  TemporaryFile(const OpenFolder& folder, std::string name, std::string temporary);

  const OpenFolder* folder_;
  std::string name_;
  std::string temporary_;  // empty: published or moved from
};

/// Waits until the names in the folder are on the disk. A finding if that failed.
std::optional<CacheFinding> flush_folder(const OpenFolder& folder);

/// True for a name that TemporaryFile makes.
bool is_temporary_name(const std::string& name);

/// Ending of the names of files that were set aside.
inline constexpr const char* set_aside_suffix = ".bad";
bool is_set_aside_name(const std::string& name);

/// Removes temporary files of processes that died: those whose age, in either direction, is beyond a quarter
/// of an hour. Returns how many.
int remove_left_overs(const OpenFolder& folder);

/// An exclusive lock between threads and processes on a file in the folder; the system releases it when its
/// holder dies.
class FolderLock {
 public:
  /// A finding if the lock cannot be had within the time: a live process holds it, or the file system has no
  /// locks.
  static Outcome<FolderLock> acquire(const OpenFolder& folder,
                                     std::chrono::milliseconds patience = std::chrono::seconds(30));
  ~FolderLock();
  FolderLock(FolderLock&&) noexcept = default;
  FolderLock& operator=(FolderLock&&) = delete;

  static constexpr const char* file_name = "lock";

 private:
  explicit FolderLock(FileDescriptor file) noexcept : file_(std::move(file)) {}
  FileDescriptor file_;
};

}  // namespace flexgemm::detail
