#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <flexgemm/context.hpp>

#include "cache/files.hpp"
#include "cache/finding.hpp"

namespace flexgemm::detail {

/// The folder of a cache: where it is and how it is opened. Holds nothing open. Immutable, thread-safe.
class CacheFolder {
 public:
  CacheFolder(std::filesystem::path path, std::string origin, std::uint64_t limit_bytes);

  /// The folder that options and environment choose; a finding if the cache is off or has no place. Touches
  /// no file.
  static Outcome<std::shared_ptr<const CacheFolder>> locate(const CacheOptions& options);

  const std::filesystem::path& path() const noexcept { return path_; }  ///< absolute
  const std::string& origin() const noexcept { return origin_; }
  std::uint64_t limit_bytes() const noexcept { return limit_bytes_; }

  enum class Absent { make, leave };
  /// Opens the folder itself, or one of the folders "kernels" and "tuning" in it, after checking that it can
  /// be trusted. An absent one is made, readable by this user alone, or is a finding of the kind no_folder.
  /// The cache's own folder may be a symbolic link that this user or root made; the folders in it may not.
  Outcome<OpenFolder> open(Absent absent) const;
  Outcome<OpenFolder> open(const std::string& inner, Absent absent) const;

  /// The cache's lock, for changes that readers of several files, or two writers of one file, must not see
  /// half done.
  Outcome<FolderLock> lock() const;

 private:
  std::filesystem::path path_;
  std::string origin_;
  std::uint64_t limit_bytes_;
};

inline constexpr const char* kernels_folder = "kernels";
inline constexpr const char* tuning_folder = "tuning";

}  // namespace flexgemm::detail
