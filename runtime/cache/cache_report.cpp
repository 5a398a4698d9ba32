// What the public header tells about a cache, without changing it.
#include <ctime>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cache/survey.hpp"
#include "cache/tuning_store.hpp"
#include "codegen/emit.hpp"

namespace flexgemm {

using namespace detail;

namespace {

using Kind = CacheFinding::Kind;

/// Why nothing can be written; nothing if something can.
std::optional<CacheFinding> unwritable(const OpenFolder& folder) {
  constexpr std::uint64_t least_free_bytes = 1 << 20;
  const std::string remedy =
      "Kernels are compiled, and layers tuned, by every process anew. Point FLEXGEMM_CACHE_DIR to a folder "
      "that this "
      "user may write to.";
  struct statvfs disk {};
  const bool known = ::fstatvfs(folder.descriptor.number(), &disk) == 0;
  if (known && (disk.f_flag & ST_RDONLY) != 0) {
    return CacheFinding{Kind::read_only, folder.path,
                        fmt::format("{} is on a disk that is mounted read-only.", folder.path.string()),
                        remedy};
  }
  if (::faccessat(AT_FDCWD, folder.path.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    return CacheFinding{Kind::read_only, folder.path,
                        fmt::format("{} may not be written by this user.", folder.path.string()), remedy};
  }
  if (known && static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize < least_free_bytes) {
    return CacheFinding{Kind::read_only, folder.path,
                        fmt::format("The disk of {} is full.", folder.path.string()),
                        "Free space on it, or point FLEXGEMM_CACHE_DIR to another one."};
  }
  return std::nullopt;
}

void note_outdated(CacheReport& report, const std::filesystem::path& folder, std::int64_t count,
                   const char* what) {
  if (count == 0) return;
  report.findings.push_back(
      {Kind::outdated, folder,
       fmt::format("{} {} in {} are of another version of the library.", count, what, folder.string()),
       "They are not used; flexgemm-tune clear --outdated removes them."});
}

void survey_into(CacheReport& report, const CacheFolder& cache) {
  std::int64_t outdated_kernels = 0;
  std::int64_t outdated_tuning = 0;
  survey(cache, {.kernel =
                     [&](const StoredKernel& stored) {
                       ++report.kernels;
                       report.kernel_bytes += stored.bytes;
                       if (!is_current(stored.kernel)) ++outdated_kernels;
                     },
                 .tuning =
                     [&](const TuningEntries& entries) {
                       report.tuning_entries += static_cast<std::int64_t>(entries.size());
                       for (const auto& [key, entry] : entries) {
                         if (key.template_hash != codegen::template_hash()) ++outdated_tuning;
                       }
                     },
                 .finding = [&](const CacheFinding& finding) { report.findings.push_back(finding); }});
  note_outdated(report, cache.path() / kernels_folder, outdated_kernels, "kernels");
  note_outdated(report, cache.path() / tuning_folder, outdated_tuning, "tuning results");
}

}  // namespace

std::filesystem::path cache_folder(const CacheOptions& options) {
  const auto folder = CacheFolder::locate(options);
  return folder ? (*folder)->path() : std::filesystem::path();
}

CacheReport diagnose_cache(const CacheOptions& options) {
  CacheReport report;
  const auto located = CacheFolder::locate(options);
  if (!located) {
    report.findings.push_back(located.problem());
    return report;
  }
  const CacheFolder& cache = **located;
  report.folder = cache.path();
  report.origin = cache.origin();
  report.limit_bytes = cache.limit_bytes();
  const auto opened = cache.open(CacheFolder::Absent::leave);
  if (!opened) {
    report.findings.push_back(opened.problem());
    return report;
  }
  report.usable = true;
  const auto obstacle = unwritable(*opened);
  report.writable = !obstacle;
  if (obstacle) report.findings.push_back(*obstacle);
  survey_into(report, cache);
  return report;
}

std::vector<KernelEntry> list_kernels(const CacheOptions& options) {
  const auto cache = require_folder(options);
  std::vector<KernelEntry> entries;
  if (!require_usable(*cache)) return entries;
  survey(*cache, {.kernel = [&](const StoredKernel& stored) {
    entries.push_back(entry_of(stored.kernel, stored.bytes));
    entries.back().last_used = utc_text(stored.last_used);
  }});
  return entries;
}

std::vector<TuningEntry> list_tuning(const CacheOptions& options) {
  const auto cache = require_folder(options);
  std::vector<TuningEntry> list;
  if (!require_usable(*cache)) return list;
  survey(*cache, {.tuning = [&](const TuningEntries& entries) {
    for (const auto& [key, entry] : entries) list.push_back(entry);
  }});
  return list;
}

}  // namespace flexgemm
