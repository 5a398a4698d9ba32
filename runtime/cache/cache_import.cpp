#include "cache/cache_import.hpp"

#include <utility>

#include <fmt/format.h>

namespace flexgemm::detail {

CacheImport::CacheImport(std::shared_ptr<const CacheFolder> target) : target_(std::move(target)) {}

const OpenFolder& CacheImport::kernels() {
  if (!kernels_) {
    auto folder = target_->open(kernels_folder, CacheFolder::Absent::make);
    if (!folder) fail_with(folder.problem());
    kernels_ = std::move(*folder);
  }
  return *kernels_;
}

void CacheImport::add(const KernelImage& kernel) {
  const auto present = read_kernel(kernels(), kernel.hash);
  if (present && *present) return;
  if (const auto finding = write_kernel(*target_, kernels(), kernel)) fail_with(*finding);
  ++change_.kernels;
  change_.bytes += kernel.image.size();
}

void CacheImport::add(const TuningEntries& entries) {
  for (const auto& [key, entry] : entries) {
    const auto [place, fresh] = tuning_.emplace(key, entry);
    if (!fresh && place->second.date < entry.date) place->second = entry;
  }
}

CacheChange CacheImport::finish() {
  const auto merged = merge_tuning(*target_, tuning_, Precedence::newer);
  if (!merged) fail_with(merged.problem());
  change_.tuning_entries = *merged;
  if (kernels_) {
    const std::uint64_t before = kernel_bytes(*kernels_);
    const std::uint64_t after = evict_kernels(*target_, *kernels_, {});
    if (after < before) {
      change_.findings.push_back(
          {CacheFinding::Kind::read_only, target_->path(),
           fmt::format("{} MiB of kernels were evicted from {} again: it may hold {} MiB.",
                       (before - after) >> 20, target_->path().string(), target_->limit_bytes() >> 20),
           "Set FLEXGEMM_CACHE_LIMIT_MIB to more, and repeat."});
    }
  }
  return std::move(change_);
}

}  // namespace flexgemm::detail
