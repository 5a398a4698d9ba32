#include "cache/stores.hpp"

#include <utility>
#include <vector>

#include "cache/cache_folder.hpp"
#include "cache/disk_kernel_store.hpp"
#include "cache/kernel_folder.hpp"
#include "cache/kernel_pack.hpp"
#include "core/log.hpp"

namespace flexgemm::detail {

namespace {

void log_pack(const KernelPack& pack) {
  log(1, "kernel pack {}: {} kernels, {} tuning results", pack.path().string(), pack.kernel_hashes().size(),
      pack.tuning().size());
}

}  // namespace

void Stores::load_pack(const std::filesystem::path& path) const {
  const auto pack = require_pack(path);
  kernels->add(pack);
  tuning->add(pack);
  log_pack(*pack);
}

Stores open_stores(const ContextOptions& options) {
  Stores stores;
  std::vector<std::shared_ptr<const KernelPack>> packs;
  bool packed = false;
  for (const std::filesystem::path& path : options.kernel_packs) {
    if (auto pack = KernelPack::open(path)) {
      log_pack(**pack);
      packed |= !(*pack)->kernel_hashes().empty();
      packs.push_back(*pack);
    } else {
      report_once(pack.problem());
    }
  }
  std::shared_ptr<const CacheFolder> folder;
  if (auto located = CacheFolder::locate(options.cache)) {
    folder = *located;
    stores.first_start = !packed && !holds_a_kernel(*folder);
  } else {
    report_once(located.problem());
  }
  stores.kernels = std::make_shared<PackedKernelStore>(
      packs, folder == nullptr ? nullptr : std::make_shared<DiskKernelStore>(folder));
  stores.tuning = std::make_shared<TuningStore>(folder, std::move(packs));
  return stores;
}

}  // namespace flexgemm::detail
