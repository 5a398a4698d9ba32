#pragma once

#include <ctime>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <sys/stat.h>

#include <flexgemm/cache.hpp>

#include "cache/files.hpp"
#include "cache/tuning_file.hpp"

namespace flexgemm::detail {

class CacheFolder;
class KernelPack;

/// A tuning result for another shape than the one that was asked for.
struct TuningMatch {
  TuningEntry entry;
  double distance = 0;  ///< tuning_distance(asked, entry.key)
};

/// How far a result for `stored` is from what `asked` needs; nothing if it is of no use: another op, type,
/// volume, architecture, pinned algorithm, or other templates. The sum of |log2| of the ratios of Ci, Co and
/// multiprocessors, a quarter for each step between the buckets of rows and of pairs, a half for another
/// epilogue, and an eighth for another device of the architecture. 0 means an equal key.
std::optional<double> tuning_distance(const TuningKey& asked, const TuningKey& stored) noexcept;

/// The key as one line of text, for logs: "forward f16 64 -> 64 v27 n2^17 ...".
std::string to_string(const TuningKey& key);

/// A time in UTC, as TuningEntry::date has it; and the present one.
std::string utc_text(std::time_t time);
std::string utc_now();

/// Tuning results: those of this process, those on disk (`<cache>/tuning/<device>.json`), and those of kernel
/// packs, in this order of precedence. Results of other processes are seen when their files change. Only
/// results of the present templates are found. Thread-safe.
class TuningStore {
 public:
  /// Without a folder results live as long as the store.
  explicit TuningStore(std::shared_ptr<const CacheFolder> folder = nullptr,
                       std::vector<std::shared_ptr<const KernelPack>> packs = {});
  ~TuningStore();

  /// One more pack, looked in after those that are here.
  void add(std::shared_ptr<const KernelPack> pack);

  /// The result for exactly this key.
  std::optional<TuningEntry> find(const TuningKey& key) noexcept;
  /// The result with the least tuning_distance; of equally near ones the first by key.
  std::optional<TuningMatch> nearest(const TuningKey& key) noexcept;
  /// Keeps the result, replacing one with an equal key, and merges it into the file under a lock. True if it
  /// is on disk; if not, a line in the log says why, and the result is kept for this process.
  bool save(const TuningEntry& entry) noexcept;

 private:
  struct File {
    std::optional<struct stat> seen;  // when it was read
    TuningEntries entries;
  };

  std::optional<OpenFolder> open_folder() const;
  const TuningEntries& file_entries(const OpenFolder& folder, const std::string& name);

  std::shared_ptr<const CacheFolder> folder_;
  std::mutex mutex_;  // guards what follows
  std::vector<std::shared_ptr<const KernelPack>> packs_;
  TuningEntries own_;
  std::map<std::string, File> files_;
};

}  // namespace flexgemm::detail
