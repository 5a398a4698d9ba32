#include "cache/tuning_store.hpp"

#include <utility>

#include "codegen/emit.hpp"

namespace flexgemm::detail {

TuningStore::TuningStore(std::shared_ptr<const CacheFolder>, std::vector<std::shared_ptr<const KernelPack>>) {
}
TuningStore::~TuningStore() = default;

std::optional<TuningEntry> TuningStore::find(const TuningKey& key) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = own_.find(key);
  if (found == own_.end() || key.template_hash != codegen::template_hash()) return std::nullopt;
  return found->second;
}

std::optional<TuningMatch> TuningStore::nearest(const TuningKey& key) noexcept {
  const std::lock_guard lock(mutex_);
  std::optional<TuningMatch> best;
  for (const auto& [stored, entry] : own_) {
    const auto distance = tuning_distance(key, stored);
    if (distance && (!best || *distance < best->distance)) best = {.entry = entry, .distance = *distance};
  }
  return best;
}

bool TuningStore::save(const TuningEntry& entry) noexcept {
  const std::lock_guard lock(mutex_);
  own_.insert_or_assign(entry.key, entry);
  return false;
}

}  // namespace flexgemm::detail
