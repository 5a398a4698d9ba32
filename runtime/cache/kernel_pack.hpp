#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "cache/files.hpp"
#include "cache/finding.hpp"
#include "cache/kernel_store.hpp"
#include "cache/sha256.hpp"
#include "cache/tuning_file.hpp"

namespace flexgemm::detail {

/// The format of a pack (docs/tuning.md, Kernel pack). All integers are little-endian:
///   "FLEXPACK", version u32, flags u32 (0), bytes of the whole file u64, bytes of the index u64, number of
///   members u64, SHA-256 of these 40 bytes and the index; the index; the members, one after the other.
/// The index has for each member: kind u32 (1 kernel, 2 tuning), bytes of its name u32, bytes u64, SHA-256,
/// name. A kernel member is a kernel file, named by its source hash; a tuning member is a tuning file, named
/// as in a cache.
inline constexpr std::uint32_t kernel_pack_version = 1;

/// The bytes of a pack. `kernels` maps source hashes to kernel files, `tuning` file names to tuning files.
std::vector<char> encode_pack(const std::map<std::string, std::vector<char>>& kernels,
                              const std::map<std::string, std::string>& tuning);

/// An open pack. Its header, index and tuning results were verified when it was opened; a kernel is when it
/// is read. Thread-safe.
class KernelPack {
 public:
  /// A finding if the file cannot be read, is no pack, is damaged, or may be written by everybody.
  static Outcome<std::shared_ptr<const KernelPack>> open(const std::filesystem::path& path);

  const std::filesystem::path& path() const noexcept { return path_; }
  std::uint64_t bytes() const noexcept { return bytes_; }
  const TuningEntries& tuning() const noexcept { return tuning_; }
  std::vector<std::string> kernel_hashes() const;

  /// Reads and verifies a kernel. Nothing if the pack does not have it.
  Outcome<std::optional<KernelImage>> kernel(const std::string& hash) const;

 private:
  struct Member {
    std::uint64_t offset;
    std::uint64_t bytes;
    Sha256Digest digest;
  };

  KernelPack(std::filesystem::path path, FileDescriptor file, std::uint64_t bytes);
  std::optional<CacheFinding> read_index();
  std::optional<CacheFinding> read_members(std::span<const char> index, std::uint64_t count,
                                           std::uint64_t offset);
  std::optional<CacheFinding> read_tuning(const std::string& name, const Member& member);
  Outcome<std::vector<char>> read(std::uint64_t offset, std::uint64_t bytes) const;
  CacheFinding damaged(const std::string& clause,
                       CacheFinding::Kind kind = CacheFinding::Kind::damaged) const;

  std::filesystem::path path_;
  FileDescriptor file_;
  std::uint64_t bytes_;
  std::map<std::string, Member> kernels_;
  TuningEntries tuning_;
};

/// The pack, open. Throws Error{io} with what is wrong with it.
std::shared_ptr<const KernelPack> require_pack(const std::filesystem::path& path);

/// Packs in front of another store, which may be null: kernels are looked for in the packs, in order, and
/// saved in the other. Thread-safe if the other is.
class PackedKernelStore final : public KernelStore {
 public:
  PackedKernelStore(std::vector<std::shared_ptr<const KernelPack>> packs,
                    std::shared_ptr<KernelStore> behind);

  /// One more pack, looked in after those that are here.
  void add(std::shared_ptr<const KernelPack> pack);

  std::optional<CompiledKernel> load(const std::string& hash,
                                     const codegen::KernelSpec& spec) noexcept override;
  bool save(const std::string& hash, const codegen::KernelSpec& spec,
            const CompiledKernel& kernel) noexcept override;
  void refuse(const std::string& hash, const codegen::KernelSpec& spec,
              const std::string& why) noexcept override;

 private:
  std::optional<CompiledKernel> find(const std::string& hash, const codegen::KernelSpec& spec);

  std::shared_ptr<KernelStore> behind_;
  std::mutex mutex_;  // guards what follows
  std::vector<std::shared_ptr<const KernelPack>> packs_;
  std::set<std::string> refused_;
};

}  // namespace flexgemm::detail
