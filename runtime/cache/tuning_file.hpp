#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flexgemm/cache.hpp>

#include "cache/cache_folder.hpp"
#include "cache/finding.hpp"

namespace flexgemm::detail {

/// Tuning results by key.
using TuningEntries = std::map<TuningKey, TuningEntry>;

inline constexpr int tuning_file_version = 1;

/// The text of a tuning file (docs/tuning.md, Tuning file): JSON, with a SHA-256 over all of its bytes, its
/// own digits read as zeros.
std::string encode_tuning(const TuningEntries& entries);
/// Believes nothing that the checksum does not cover.
Outcome<TuningEntries, Damage> decode_tuning(std::span<const char> text);

/// "NVIDIA_H200-sm_90a-132.json": the file of a key's device. Different devices have different names.
std::string tuning_file_name(const TuningKey& key);
bool is_tuning_file_name(const std::string& name);

/// Reads and verifies a tuning file. Nothing if there is none; a finding if it cannot be believed. Changes
/// nothing.
Outcome<std::optional<TuningEntries>> read_tuning(const OpenFolder& tuning, const std::string& name);

/// Which of two results for one key stays.
enum class Precedence {
  given,  ///< the one being merged
  newer,  ///< the one with the later date; the one in the file if they are equal
};

/// Merges results, of any devices, into their files under the cache's lock. Results of other templates than
/// the present ones leave the files that are written, and are not merged. Returns how many results were added
/// or replaced; a finding if something could not be written.
Outcome<std::int64_t> merge_tuning(const CacheFolder& cache, const TuningEntries& entries,
                                   Precedence precedence);

/// Removes results of other templates than the present ones from one file. Returns how many; a finding if
/// that failed.
Outcome<std::int64_t> drop_outdated(const CacheFolder& cache, const OpenFolder& tuning,
                                    const std::string& name);

}  // namespace flexgemm::detail
