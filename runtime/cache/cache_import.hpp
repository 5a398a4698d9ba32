#pragma once

#include <memory>
#include <optional>

#include "cache/cache_folder.hpp"
#include "cache/kernel_folder.hpp"
#include "cache/tuning_file.hpp"

namespace flexgemm::detail {

/// Adds kernels and tuning results, verified by the caller, to a cache. Throws Error{io} for what could not
/// be saved; what was added until then stays.
class CacheImport {
 public:
  explicit CacheImport(std::shared_ptr<const CacheFolder> target);

  /// Saves a kernel unless the cache has it.
  void add(const KernelImage& kernel);
  /// Collects results for `finish`; of two for one key the newer stays.
  void add(const TuningEntries& entries);
  void skip(const CacheFinding& finding) { change_.findings.push_back(finding); }
  /// Merges the tuning results and keeps the cache's size.
  CacheChange finish();

 private:
  const OpenFolder& kernels();

  std::shared_ptr<const CacheFolder> target_;
  std::optional<OpenFolder> kernels_;
  TuningEntries tuning_;
  CacheChange change_;
};

}  // namespace flexgemm::detail
