#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "cache/cache_folder.hpp"

namespace flexgemm::detail {

/// What a file is, as a finding: damaged, foreign, newer.
CacheFinding damage_finding(const std::filesystem::path& path, const Damage& damage);

/// Whether a file of this finding is set aside, rather than left where it is.
bool is_set_aside_for(CacheFinding::Kind kind) noexcept;

/// Renames a file that cannot be believed to <name>.bad, unless `is_bad` says under the cache's lock that
/// somebody has put a good one in its place. Reports it once.
void set_aside(const CacheFolder& cache, const OpenFolder& folder, const std::string& name,
               const CacheFinding& finding, const std::function<bool()>& is_bad) noexcept;

/// Renames it, while the cache's lock is held. Reports a failure once.
void set_aside_locked(const OpenFolder& folder, const std::string& name);

}  // namespace flexgemm::detail
