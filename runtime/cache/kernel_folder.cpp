#include "cache/kernel_folder.hpp"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <string_view>
#include <tuple>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "cache/set_aside.hpp"
#include "core/log.hpp"

namespace flexgemm::detail {

namespace {

using Kind = CacheFinding::Kind;

constexpr std::string_view kernel_suffix = ".cubin";
constexpr std::time_t one_day = 24 * 60 * 60;

bool is_counted(const std::string& name) {
  return hash_of_file_name(name).has_value() || is_set_aside_name(name);
}

/// A file that may be evicted, in the order of eviction.
struct Evictable {
  int rank = 0;  // 0: set aside; 1: dated in the future; 2: any other
  std::time_t last_used = 0;
  std::string name;
  std::uint64_t bytes = 0;

  bool operator<(const Evictable& other) const {
    return std::tie(rank, last_used, name) < std::tie(other.rank, other.last_used, other.name);
  }
};

std::vector<Evictable> evictable_files(const OpenFolder& kernels) {
  const std::time_t now = std::time(nullptr);
  std::vector<Evictable> files;
  for (const std::string& name : names_in(kernels)) {
    struct stat status {};
    if (!is_counted(name) ||
        ::fstatat(kernels.descriptor.number(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      continue;
    }
    const int rank = is_set_aside_name(name) ? 0 : status.st_mtime > now + one_day ? 1 : 2;
    files.push_back({.rank = rank,
                     .last_used = rank == 2 ? std::min(status.st_mtime, now) : status.st_mtime,
                     .name = name,
                     .bytes = static_cast<std::uint64_t>(status.st_size)});
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::uint64_t total_bytes(const std::vector<Evictable>& files) {
  std::uint64_t total = 0;
  for (const Evictable& file : files) total += file.bytes;
  return total;
}

}  // namespace

void touch(const StoredKernel& stored) noexcept {
  const std::time_t now = std::time(nullptr);
  if (now - stored.last_used >= one_day || stored.last_used > now) ::futimens(stored.file.number(), nullptr);
}

std::string kernel_file_name(const std::string& hash) { return hash + std::string(kernel_suffix); }

std::optional<std::string> hash_of_file_name(const std::string& name) {
  if (!name.ends_with(kernel_suffix)) return std::nullopt;
  std::string hash = name.substr(0, name.size() - kernel_suffix.size());
  if (!is_source_hash(hash)) return std::nullopt;
  return hash;
}

bool holds_a_kernel(const CacheFolder& cache) {
  const Outcome<OpenFolder> kernels = cache.open(kernels_folder, CacheFolder::Absent::leave);
  return kernels &&
         any_name_in(*kernels, [](const std::string& name) { return hash_of_file_name(name).has_value(); });
}

Outcome<std::optional<StoredKernel>> read_kernel(const OpenFolder& kernels, const std::string& hash) {
  const std::string name = kernel_file_name(hash);
  auto file = read_trusted(kernels, name);
  if (!file) return file.problem();
  if (!*file) return std::optional<StoredKernel>();
  auto kernel = decode_kernel((*file)->bytes);
  if (!kernel) return damage_finding(kernels.path / name, kernel.problem());
  if (kernel->hash != hash) {
    return damage_finding(kernels.path / name,
                          {Kind::foreign, fmt::format("it holds the kernel {}", kernel->hash)});
  }
  return std::optional(StoredKernel{.kernel = std::move(*kernel),
                                    .file = std::move((*file)->descriptor),
                                    .bytes = (*file)->bytes.size(),
                                    .last_used = (*file)->status.st_mtime});
}

std::optional<CacheFinding> write_kernel(const CacheFolder& cache, const OpenFolder& kernels,
                                         const KernelImage& kernel) {
  const std::vector<char> bytes = encode_kernel(kernel);
  auto file = TemporaryFile::write(kernels, kernel_file_name(kernel.hash), bytes);
  if (!file) return file.problem();
  // Under the lock, because set_aside must not take a new file for the damaged one that it looked at.
  {
    const Outcome<FolderLock> lock = cache.lock();
    if (!lock) return lock.problem();
    if (auto finding = file->publish()) return finding;
  }
  return flush_folder(kernels);
}

std::uint64_t kernel_bytes(const OpenFolder& kernels) { return total_bytes(evictable_files(kernels)); }

std::uint64_t evict_kernels(const CacheFolder& cache, const OpenFolder& kernels, const std::string& keep) {
  const std::uint64_t limit = cache.limit_bytes();
  std::uint64_t total = kernel_bytes(kernels);
  if (total <= limit) return total;
  const Outcome<FolderLock> lock = cache.lock();
  if (!lock) {
    report_once(lock.problem());
    return total;
  }
  const std::vector<Evictable> files = evictable_files(kernels);  // another process may have been here
  total = total_bytes(files);
  if (total <= limit) return total;
  int removed = 0;
  for (const Evictable& file : files) {
    if (total <= limit - limit / 10) break;
    if (file.name == kernel_file_name(keep)) continue;
    if (::unlinkat(kernels.descriptor.number(), file.name.c_str(), 0) != 0) continue;
    total -= file.bytes;
    ++removed;
  }
  log(1, "cache: removed {} kernels that were not used for the longest time; {} MiB of at most {} are left",
      removed, total >> 20, limit >> 20);
  return total;
}

}  // namespace flexgemm::detail
