#include "cache/tuning_store.hpp"

#include <utility>

#include <fcntl.h>

#include "cache/cache_folder.hpp"
#include "cache/kernel_pack.hpp"
#include "cache/set_aside.hpp"
#include "codegen/emit.hpp"
#include "core/log.hpp"

namespace flexgemm::detail {

namespace {

using Kind = CacheFinding::Kind;

bool is_same(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino && one.st_size == other.st_size &&
         one.st_mtim.tv_sec == other.st_mtim.tv_sec && one.st_mtim.tv_nsec == other.st_mtim.tv_nsec;
}

}  // namespace

TuningStore::TuningStore(std::shared_ptr<const CacheFolder> folder,
                         std::vector<std::shared_ptr<const KernelPack>> packs)
    : folder_(std::move(folder)), packs_(std::move(packs)) {}
TuningStore::~TuningStore() = default;

void TuningStore::add(std::shared_ptr<const KernelPack> pack) {
  const std::lock_guard lock(mutex_);
  packs_.push_back(std::move(pack));
}

std::optional<OpenFolder> TuningStore::open_folder() const {
  if (folder_ == nullptr) return std::nullopt;
  auto folder = folder_->open(tuning_folder, CacheFolder::Absent::leave);
  if (folder) return std::move(*folder);
  if (folder.problem().kind != Kind::no_folder) report_once(folder.problem());
  return std::nullopt;
}

const TuningEntries& TuningStore::file_entries(const OpenFolder& folder, const std::string& name) {
  File& file = files_[name];
  struct stat status {};
  if (::fstatat(folder.descriptor.number(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    file = {};
  } else if (!file.seen || !is_same(*file.seen, status)) {
    file = {.seen = status, .entries = {}};
    auto read = read_tuning(folder, name);
    if (read && *read) {
      file.entries = std::move(**read);
    } else if (!read && is_set_aside_for(read.problem().kind)) {
      set_aside(*folder_, folder, name, read.problem(), [&] { return !read_tuning(folder, name); });
    } else if (!read) {
      report_once(read.problem());
    }
  }
  return file.entries;
}

std::optional<TuningEntry> TuningStore::find(const TuningKey& key) noexcept {
  if (key.template_hash != codegen::template_hash()) return std::nullopt;
  try {
    const std::lock_guard lock(mutex_);
    if (const auto found = own_.find(key); found != own_.end()) return found->second;
    if (const auto folder = open_folder()) {
      const TuningEntries& entries = file_entries(*folder, tuning_file_name(key));
      if (const auto found = entries.find(key); found != entries.end()) return found->second;
    }
    for (const auto& pack : packs_) {
      if (const auto found = pack->tuning().find(key); found != pack->tuning().end()) return found->second;
    }
  } catch (...) {  // out of memory: as good as absent
  }
  return std::nullopt;
}

std::optional<TuningMatch> TuningStore::nearest(const TuningKey& key) noexcept {
  if (key.template_hash != codegen::template_hash()) return std::nullopt;
  std::optional<TuningMatch> best;
  const auto look = [&](const TuningEntries& entries) {
    for (const auto& [stored, entry] : entries) {
      const auto distance = tuning_distance(key, stored);
      if (distance && (!best || *distance < best->distance ||
                       (*distance == best->distance && stored < best->entry.key))) {
        best = {.entry = entry, .distance = *distance};
      }
    }
  };
  try {
    const std::lock_guard lock(mutex_);
    look(own_);
    if (const auto folder = open_folder()) {
      for (const std::string& name : names_in(*folder)) {
        if (is_tuning_file_name(name)) look(file_entries(*folder, name));
      }
    }
    for (const auto& pack : packs_) look(pack->tuning());
  } catch (...) {  // out of memory: what was found until then
  }
  return best;
}

bool TuningStore::save(const TuningEntry& entry) noexcept {
  try {
    {
      const std::lock_guard lock(mutex_);
      own_.insert_or_assign(entry.key, entry);
    }
    if (folder_ == nullptr) return false;
    const auto merged = merge_tuning(*folder_, {{entry.key, entry}}, Precedence::given);
    if (!merged) report_once(merged.problem());
    return merged && *merged == 1;
  } catch (...) {  // out of memory: not stored
    return false;
  }
}

}  // namespace flexgemm::detail
