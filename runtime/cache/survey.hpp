#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cache/cache_folder.hpp"
#include "cache/kernel_folder.hpp"
#include "cache/tuning_file.hpp"

namespace flexgemm::detail {

/// What to do with each thing that a cache holds. An empty function skips it.
struct CacheVisitor {
  std::function<void(StoredKernel&)> kernel{};
  std::function<void(const TuningEntries&)> tuning{};
  std::function<void(const CacheFinding&)> finding{};
};

/// Reads every kernel and tuning file of a cache, in the order of their names, and changes nothing. A folder
/// that is absent is empty; one that cannot be trusted or opened is a finding.
void survey(const CacheFolder& cache, const CacheVisitor& visitor);

/// The cache's folder by its options. Throws Error{io} if there is none.
std::shared_ptr<const CacheFolder> require_folder(const CacheOptions& options);

/// Throws Error{io} if the folder exists and cannot be trusted or opened. Returns whether it exists.
bool require_usable(const CacheFolder& cache);

}  // namespace flexgemm::detail
