#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "cache/cache_folder.hpp"
#include "cache/kernel_store.hpp"

namespace flexgemm::detail {

/// Kernels in the cache's folder "kernels", one file each, shared by all processes of the user. A file that
/// cannot be believed is set aside and reported once; a disk that cannot be written costs persistence alone.
/// Thread-safe.
class DiskKernelStore final : public KernelStore {
 public:
  explicit DiskKernelStore(std::shared_ptr<const CacheFolder> folder);

  std::optional<CompiledKernel> load(const std::string& hash,
                                     const codegen::KernelSpec& spec) noexcept override;
  bool save(const std::string& hash, const codegen::KernelSpec& spec,
            const CompiledKernel& kernel) noexcept override;
  void refuse(const std::string& hash, const codegen::KernelSpec& spec,
              const std::string& why) noexcept override;

 private:
  std::optional<CompiledKernel> find(const std::string& hash, const std::string& spec);
  bool write(const std::string& hash, const std::string& spec, const CompiledKernel& kernel);
  void keep_limit(const OpenFolder& kernels, const std::string& hash, std::uint64_t bytes);

  std::shared_ptr<const CacheFolder> folder_;
  std::mutex mutex_;
  std::set<std::string> refused_;  // by this machine's driver
  std::optional<std::uint64_t> known_bytes_;
  int saves_ = 0;
};

}  // namespace flexgemm::detail
