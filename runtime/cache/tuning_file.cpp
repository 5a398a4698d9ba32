#include "cache/tuning_file.hpp"

#include "cache/set_aside.hpp"
#include "codegen/emit.hpp"

namespace flexgemm::detail {

namespace {

using Kind = CacheFinding::Kind;

bool is_current(const TuningKey& key) { return key.template_hash == codegen::template_hash(); }

/// What a file holds that is worth keeping. The cache's lock is held: a file that cannot be believed is set
/// aside.
Outcome<TuningEntries> kept_entries(const OpenFolder& tuning, const std::string& file) {
  auto read = read_tuning(tuning, file);
  if (!read) {
    const Kind kind = read.problem().kind;
    report_once(read.problem());
    if (kind == Kind::unreadable) return read.problem();  // not to be overwritten: it may be sound
    if (is_set_aside_for(kind)) set_aside_locked(tuning, file);
    return TuningEntries();
  }
  TuningEntries entries = *read ? std::move(**read) : TuningEntries();
  std::erase_if(entries, [](const auto& each) { return !is_current(each.first); });
  return entries;
}

/// Merges results into the files of their devices while it holds the lock. Returns how many were added or
/// replaced.
Outcome<std::int64_t> merge_files(const CacheFolder& cache, const OpenFolder& tuning,
                                  const std::map<std::string, TuningEntries>& by_file,
                                  Precedence precedence) {
  const Outcome<FolderLock> lock = cache.lock();
  if (!lock) return lock.problem();
  std::int64_t changed = 0;
  for (const auto& [name, given] : by_file) {
    Outcome<TuningEntries> kept = kept_entries(tuning, name);
    if (!kept) return kept.problem();
    for (const auto& [key, entry] : given) {
      const auto found = kept->find(key);
      const bool stays =
          found != kept->end() && precedence == Precedence::newer && entry.date <= found->second.date;
      if (stays) continue;
      kept->insert_or_assign(key, entry);
      ++changed;
    }
    auto file = TemporaryFile::write(tuning, name, encode_tuning(*kept));
    if (!file) return file.problem();
    if (auto finding = file->publish()) return *finding;
  }
  return changed;
}

}  // namespace

Outcome<std::optional<TuningEntries>> read_tuning(const OpenFolder& tuning, const std::string& name) {
  auto file = read_trusted(tuning, name);
  if (!file) return file.problem();
  if (!*file) return std::optional<TuningEntries>();
  auto entries = decode_tuning((*file)->bytes);
  if (!entries) return damage_finding(tuning.path / name, entries.problem());
  return std::optional(std::move(*entries));
}

Outcome<std::int64_t> merge_tuning(const CacheFolder& cache, const TuningEntries& entries,
                                   Precedence precedence) {
  std::map<std::string, TuningEntries> by_file;
  for (const auto& [key, entry] : entries) {
    if (is_current(key)) by_file[tuning_file_name(key)].emplace(key, entry);
  }
  if (by_file.empty()) return std::int64_t{0};
  const Outcome<OpenFolder> tuning = cache.open(tuning_folder, CacheFolder::Absent::make);
  if (!tuning) return tuning.problem();
  remove_left_overs(*tuning);
  const Outcome<std::int64_t> changed = merge_files(cache, *tuning, by_file, precedence);
  if (!changed) return changed.problem();
  if (auto finding = flush_folder(*tuning)) return *finding;  // others need not wait for that
  return changed;
}

Outcome<std::int64_t> drop_outdated(const CacheFolder& cache, const OpenFolder& tuning,
                                    const std::string& name) {
  const Outcome<FolderLock> lock = cache.lock();
  if (!lock) return lock.problem();
  auto read = read_tuning(tuning, name);
  if (!read || !*read) return std::int64_t{0};
  TuningEntries& entries = **read;
  const auto removed = std::erase_if(entries, [](const auto& each) { return !is_current(each.first); });
  if (removed == 0) return std::int64_t{0};
  auto file = TemporaryFile::write(tuning, name, encode_tuning(entries));
  if (!file) return file.problem();
  if (auto finding = file->publish()) return *finding;
  return static_cast<std::int64_t>(removed);
}

}  // namespace flexgemm::detail
