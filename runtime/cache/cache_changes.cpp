// What the public header changes in a cache.
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "cache/cache_import.hpp"
#include "cache/survey.hpp"
#include "codegen/emit.hpp"

namespace flexgemm {

using namespace detail;

namespace {

using Kind = CacheFinding::Kind;

[[noreturn]] void fail_to_change(const std::filesystem::path& path, int error) {
  fail_with({Kind::read_only, path,
             fmt::format("{} could not be changed: {}.", path.string(), system_words(error)),
             "Run it as the user that the cache belongs to."});
}

std::uint64_t file_bytes(const OpenFolder& folder, const std::string& name) {
  struct stat status {};
  if (::fstatat(folder.descriptor.number(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return 0;
  return static_cast<std::uint64_t>(status.st_size);
}

/// Removes a file; false if it is a folder or gone.
bool remove_file(const OpenFolder& folder, const std::string& name) {
  if (::unlinkat(folder.descriptor.number(), name.c_str(), 0) == 0) return true;
  if (errno == ENOENT || errno == EISDIR || errno == EPERM) return false;
  fail_to_change(folder.path / name, errno);
}

bool is_outdated(const OpenFolder& kernels, const std::string& hash) {
  const auto stored = read_kernel(kernels, hash);
  return stored && *stored && !is_current((*stored)->kernel);
}

void clear_kernels(const OpenFolder& kernels, bool only_outdated, CacheChange& change) {
  for (const std::string& name : names_in(kernels)) {
    const std::uint64_t bytes = file_bytes(kernels, name);
    if (const auto hash = hash_of_file_name(name)) {
      if (only_outdated && !is_outdated(kernels, *hash)) continue;
      if (!remove_file(kernels, name)) continue;
      ++change.kernels;
      change.bytes += bytes;
    } else if (is_set_aside_name(name)) {
      change.other_files += remove_file(kernels, name) ? 1 : 0;
    }
  }
}

void clear_tuning(const CacheFolder& cache, const OpenFolder& tuning, bool only_outdated,
                  CacheChange& change) {
  for (const std::string& name : names_in(tuning)) {
    if (is_set_aside_name(name)) change.other_files += remove_file(tuning, name) ? 1 : 0;
    if (!is_tuning_file_name(name)) continue;
    const auto entries = read_tuning(tuning, name);
    const std::int64_t count = entries && *entries ? static_cast<std::int64_t>((*entries)->size()) : 0;
    if (!only_outdated) {
      if (remove_file(tuning, name)) change.tuning_entries += count;
    } else if (count != 0) {
      const auto removed = drop_outdated(cache, tuning, name);
      if (!removed) fail_with(removed.problem());
      change.tuning_entries += *removed;
    }
  }
}

}  // namespace

CacheChange clear_cache(const CacheOptions& options, const ClearOptions& what) {
  const auto cache = require_folder(options);
  CacheChange change;
  if (!require_usable(*cache)) return change;
  for (const char* inner : {kernels_folder, tuning_folder}) {
    const bool kernels = inner == std::string_view(kernels_folder);
    if (kernels ? !what.kernels : !what.tuning) continue;
    const auto folder = cache->open(inner, CacheFolder::Absent::leave);
    if (!folder) {
      if (folder.problem().kind != Kind::no_folder) fail_with(folder.problem());
      continue;
    }
    change.other_files += remove_left_overs(*folder);
    if (kernels) {
      clear_kernels(*folder, what.only_outdated, change);
    } else {
      clear_tuning(*cache, *folder, what.only_outdated, change);
    }
  }
  return change;
}

CacheChange merge_cache(const std::filesystem::path& source, const CacheOptions& options) {
  const auto target = require_folder(options);
  const auto from = require_folder({.enabled = true, .folder = source, .limit_bytes = 0});
  if (!require_usable(*from)) {
    fail_with({Kind::no_folder, source, fmt::format("{} does not exist.", source.string()), ""});
  }
  CacheImport addition(target);
  TuningEntries tuning;
  survey(*from, {.kernel = [&](StoredKernel& stored) { addition.add(stored.kernel); },
                 .tuning = [&](const TuningEntries& entries) { addition.add(entries); },
                 .finding = [&](const CacheFinding& finding) { addition.skip(finding); }});
  return addition.finish();
}

}  // namespace flexgemm
