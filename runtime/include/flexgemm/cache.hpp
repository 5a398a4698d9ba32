#pragma once

// The kernel cache on disk and kernel packs: what a program needs to look at them, repair them and ship them.
// Running layers needs none of this; ContextOptions says which cache and which packs a context uses.
// docs/tuning.md has the file formats and the rules of trust.

#include <compare>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <flexgemm/context.hpp>
#include <flexgemm/conv3d.hpp>
#include <flexgemm/dtype.hpp>
#include <flexgemm/export.hpp>

namespace flexgemm {

/// What a tuning result is for. Two layers with equal keys get the same kernel.
struct TuningKey {
  std::string device;        ///< the GPU's name, such as "NVIDIA H200"
  std::string architecture;  ///< what its kernels are compiled for, such as "sm_90a"
  int multiprocessors = 0;
  Op op = Op::forward;
  DType dtype = DType::f32;         ///< the layer's type
  DType result_dtype = DType::f32;  ///< type of the result in memory: f32 for weight gradients in float
  std::int64_t in_channels = 0;
  std::int64_t out_channels = 0;
  int volume = 0;                              ///< V
  int rows_bucket = 0;                         ///< rows_bucket(N)
  int pairs_bucket = 0;                        ///< pairs_bucket(pairs / N)
  std::string epilogue;                        ///< bias and what is fused, in the words of a kernel spec
  Algorithm algorithm = Algorithm::automatic;  ///< the pinned one, or automatic
  std::string template_hash;                   ///< of the templates that kernels were generated from

  friend auto operator<=>(const TuningKey&, const TuningKey&) = default;
};

/// Floor of log2(N); 0 for N <= 1.
FLEXGEMM_API int rows_bucket(std::int64_t rows) noexcept;
/// 2 * log2(pairs per row), rounded to the nearest integer: steps of 1.41x; 0 for at most one pair a row.
FLEXGEMM_API int pairs_bucket(double pairs_per_row) noexcept;

/// One way to compute a pass, and what is known about its speed.
struct TuningCandidate {
  Algorithm algorithm = Algorithm::automatic;
  std::string kernel;  ///< text of the kernel spec
  int splits = 1;      ///< parts of the reduction
  std::string layout;  ///< choice of row order and layout, in words; empty: the algorithm's usual one
  std::optional<double> predicted_ms;  ///< by the cost model
  std::optional<double> measured_ms;   ///< median; none if it was not timed
  std::string problem;                 ///< why it was disqualified, as a sentence; empty: it was not

  friend bool operator==(const TuningCandidate&, const TuningCandidate&) = default;
};

/// A tuning result: the winner, and everything that it won against.
struct TuningEntry {
  TuningKey key;
  TuningCandidate winner;
  std::optional<TuningCandidate> runner_up;
  std::vector<TuningCandidate> candidates;  ///< all of them, the winner included
  std::int64_t rows = 0;                    ///< of the map that was measured
  std::int64_t pairs = 0;
  std::string date;     ///< of the measurement, UTC, such as "2026-11-25T14:05:09Z"
  std::string version;  ///< of the library that measured

  friend bool operator==(const TuningEntry&, const TuningEntry&) = default;
};

/// A compiled kernel in memory.
struct KernelImage {
  std::string spec;         ///< text of the kernel spec; its last field is the architecture
  std::string hash;         ///< identity: hash of the generated source, 16 hex digits
  bool is_ptx = false;      ///< PTX, which the driver compiles, instead of machine code
  std::vector<char> image;  ///< the cubin, or zero-terminated PTX
  std::string log;          ///< the compiler's report
};

/// A compiled kernel as lists show it.
struct KernelEntry {
  std::string spec;
  std::string architecture;
  std::string hash;
  bool is_ptx = false;
  std::uint64_t bytes = 0;  ///< of its file, header included
  std::string last_used;    ///< UTC, to about a day; empty in a pack
  bool current = false;     ///< this version of the library would generate the same source: it will be used
};

/// What is wrong with one file or folder, and what to do about it.
struct CacheFinding {
  enum class Kind : std::uint8_t {
    no_folder,     ///< there is no place for a cache, or it cannot be made
    switched_off,  ///< by the options or by FLEXGEMM_CACHE
    untrusted,     ///< others own it or may write to it, or it is a symbolic link
    read_only,     ///< it cannot be written, or the disk is full
    damaged,       ///< a checksum or a length is wrong
    foreign,       ///< not a file of FlexGEMM
    newer,         ///< written by a newer version
    outdated,      ///< of older templates: unused, and on its way out
    set_aside,     ///< was damaged, foreign or newer, and renamed to *.bad
    left_over,     ///< a temporary file of a process that died
    unreadable,    ///< the system refused to open or read it
  };
  Kind kind;
  std::filesystem::path path;
  std::string problem;  ///< a sentence
  std::string remedy;   ///< a sentence; often a command
};
/// "no_folder", "untrusted", ...: the enumerator's own name.
FLEXGEMM_API const char* name(CacheFinding::Kind kind) noexcept;

/// What diagnose_cache found. A cache is in good health when `findings` has nothing but `outdated`,
/// `set_aside` and `left_over`.
struct CacheReport {
  std::filesystem::path folder;  ///< empty if there is none
  std::string origin;            ///< what chose the folder: "ContextOptions", "FLEXGEMM_CACHE_DIR", ...
  bool usable = false;           ///< it can be read, and nobody else may write to it
  bool writable = false;
  std::int64_t kernels = 0;  ///< valid ones
  std::uint64_t kernel_bytes = 0;
  std::uint64_t limit_bytes = 0;  ///< size from which kernels are evicted
  std::int64_t tuning_entries = 0;
  std::vector<CacheFinding> findings;
};

/// The folder that a context with these options uses; empty if the cache is off or has no place.
FLEXGEMM_API std::filesystem::path cache_folder(const CacheOptions& options = {});

/// Reads every byte of the cache, changes nothing and throws nothing but std::bad_alloc.
FLEXGEMM_API CacheReport diagnose_cache(const CacheOptions& options = {});

/// What the cache holds: valid entries only. An absent cache is empty. Throws Error{io} if the folder cannot
/// be trusted or read.
FLEXGEMM_API std::vector<KernelEntry> list_kernels(const CacheOptions& options = {});
FLEXGEMM_API std::vector<TuningEntry> list_tuning(const CacheOptions& options = {});

/// What clear_cache removes.
struct ClearOptions {
  bool kernels = true;
  bool tuning = true;
  bool only_outdated = false;  ///< entries of older templates and files set aside or left over, nothing else
};

/// What a cache or a pack gained or lost.
struct CacheChange {
  std::int64_t kernels = 0;
  std::int64_t tuning_entries = 0;
  std::int64_t other_files = 0;        ///< set aside or left over
  std::uint64_t bytes = 0;             ///< of kernels
  std::vector<CacheFinding> findings;  ///< what was skipped, and why
};

/// Empties the cache. Programs that run go on: what they loaded stays loaded. Throws Error{io}.
FLEXGEMM_API CacheChange clear_cache(const CacheOptions& options = {}, const ClearOptions& what = {});

/// Adds what the cache in the folder `source` has to the one of `options`. Of two tuning results for one key
/// the newer stays. Both caches may be in use. Throws Error{io} if a folder cannot be trusted, read or
/// written, or if something could not be saved; what was merged until then stays.
FLEXGEMM_API CacheChange merge_cache(const std::filesystem::path& source, const CacheOptions& options = {});

/// Which entries go into a pack.
struct PackFilter {
  std::vector<std::string> architectures{};  ///< such as "sm_90a"; empty: all
  bool kernels = true;
  bool tuning = true;
  bool outdated = false;  ///< also entries of older templates
};

/// Writes a pack, whole or not at all: the file appears under its name when it is complete on disk. Entries
/// are ordered by name, so equal content gives equal bytes. Not thread-safe.
class FLEXGEMM_API PackBuilder {
 public:
  PackBuilder();
  ~PackBuilder();
  PackBuilder(PackBuilder&&) noexcept;
  PackBuilder& operator=(PackBuilder&&) noexcept;

  /// Adds a kernel; one of the same hash is replaced. Throws Error{invalid_argument} if `spec` is no kernel
  /// spec or `hash` is not 16 hex digits.
  void add(const KernelImage& kernel);
  /// Adds a tuning result; of two with one key the newer stays.
  void add(const TuningEntry& entry);
  /// Throws Error{io}.
  CacheChange write(const std::filesystem::path& file) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// Packs what the cache holds. Damaged entries are skipped and reported in `findings`. Throws Error{io}.
FLEXGEMM_API CacheChange pack_cache(const std::filesystem::path& file, const CacheOptions& options = {},
                                    const PackFilter& filter = {});

/// What a pack holds, after every byte of it was checked.
struct PackContents {
  std::uint64_t bytes = 0;  ///< of the file
  std::vector<KernelEntry> kernels;
  std::vector<TuningEntry> tuning;
};

/// Checks every byte of a pack. Throws Error{io} with what is wrong: damaged, truncated, foreign, newer,
/// unreadable.
FLEXGEMM_API PackContents verify_pack(const std::filesystem::path& file);

/// Checks every byte of a pack, then adds its entries to the cache. Throws Error{io}; a pack that is not
/// sound changes nothing.
FLEXGEMM_API CacheChange unpack(const std::filesystem::path& file, const CacheOptions& options = {});

}  // namespace flexgemm
