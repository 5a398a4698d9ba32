#include "cache/disk_kernel_store.hpp"

#include <utility>

#include <fmt/format.h>

#include "cache/kernel_folder.hpp"
#include "cache/set_aside.hpp"
#include "core/log.hpp"

namespace flexgemm::detail {

DiskKernelStore::DiskKernelStore(std::shared_ptr<const CacheFolder> folder) : folder_(std::move(folder)) {}

std::optional<CompiledKernel> DiskKernelStore::load(const std::string& hash,
                                                    const codegen::KernelSpec& spec) noexcept {
  try {
    return find(hash, codegen::to_string(spec));
  } catch (...) {  // out of memory: as good as absent
    return std::nullopt;
  }
}

std::optional<CompiledKernel> DiskKernelStore::find(const std::string& hash, const std::string& spec) {
  {
    const std::lock_guard lock(mutex_);
    if (refused_.contains(hash)) return std::nullopt;
  }
  const Outcome<OpenFolder> kernels = folder_->open(kernels_folder, CacheFolder::Absent::leave);
  if (!kernels) {
    if (kernels.problem().kind != CacheFinding::Kind::no_folder) report_once(kernels.problem());
    return std::nullopt;
  }
  auto stored = read_kernel(*kernels, hash);
  if (!stored) {
    if (!is_set_aside_for(stored.problem().kind)) {
      report_once(stored.problem());
    } else {
      set_aside(*folder_, *kernels, kernel_file_name(hash), stored.problem(),
                [&] { return !read_kernel(*kernels, hash); });
    }
    return std::nullopt;
  }
  if (!*stored) return std::nullopt;
  KernelImage& kernel = (*stored)->kernel;
  if (kernel.spec != spec) {  // two sources of one hash: the later one compiles, and takes the place
    log(1, "cache: the kernels {} and {} share the hash {}", kernel.spec, spec, hash);
    return std::nullopt;
  }
  touch(**stored);
  return CompiledKernel{
      .image = std::move(kernel.image), .is_ptx = kernel.is_ptx, .log = std::move(kernel.log)};
}

bool DiskKernelStore::save(const std::string& hash, const codegen::KernelSpec& spec,
                           const CompiledKernel& kernel) noexcept {
  try {
    return is_source_hash(hash) && write(hash, codegen::to_string(spec), kernel);
  } catch (...) {  // out of memory: not stored
    return false;
  }
}

bool DiskKernelStore::write(const std::string& hash, const std::string& spec, const CompiledKernel& kernel) {
  const KernelImage image{
      .spec = spec, .hash = hash, .is_ptx = kernel.is_ptx, .image = kernel.image, .log = kernel.log};
  const Outcome<OpenFolder> kernels = folder_->open(kernels_folder, CacheFolder::Absent::make);
  if (!kernels) {
    report_once(kernels.problem());
    return false;
  }
  if (const auto finding = write_kernel(*folder_, *kernels, image)) {
    report_once(*finding);
    return false;
  }
  keep_limit(*kernels, hash, image.image.size() + image.log.size() + 256);
  return true;
}

void DiskKernelStore::keep_limit(const OpenFolder& kernels, const std::string& hash, std::uint64_t bytes) {
  constexpr int saves_between_looks = 32;  // other processes add kernels too
  const std::lock_guard lock(mutex_);
  if (known_bytes_) *known_bytes_ += bytes;
  if (known_bytes_ && *known_bytes_ <= folder_->limit_bytes() && ++saves_ % saves_between_looks != 0) return;
  if (!known_bytes_) remove_left_overs(kernels);
  known_bytes_ = evict_kernels(*folder_, kernels, hash);
}

void DiskKernelStore::refuse(const std::string& hash, const codegen::KernelSpec& spec,
                             const std::string& why) noexcept {
  try {
    log(1, "the stored kernel {} is compiled anew: {}", codegen::to_string(spec), why);
    const std::lock_guard lock(mutex_);
    refused_.insert(hash);
  } catch (...) {  // out of memory: it may be handed out again, and refused again
  }
}

}  // namespace flexgemm::detail
