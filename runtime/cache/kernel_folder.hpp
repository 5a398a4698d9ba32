#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache_folder.hpp"
#include "cache/kernel_file.hpp"

namespace flexgemm::detail {

/// A stored kernel and its file.
struct StoredKernel {
  KernelImage kernel;
  FileDescriptor file;
  std::uint64_t bytes = 0;    ///< of the file
  std::time_t last_used = 0;  ///< to about a day
};

/// Notes that a kernel was used: the date of its file, at most once a day; a date in the future is put right
/// at once. Failure does not matter: then the kernel is evicted earlier and compiled again.
void touch(const StoredKernel& stored) noexcept;

/// "<hash>.cubin".
std::string kernel_file_name(const std::string& hash);
/// The hash in a kernel file's name; nothing for another name.
std::optional<std::string> hash_of_file_name(const std::string& name);

/// Whether the cache has a kernel, of any layer, GPU or version of the library. Reads names alone, no further
/// than to the first kernel, and makes no folder.
bool holds_a_kernel(const CacheFolder& cache);

/// Reads and verifies `<hash>.cubin`. Nothing if there is none; a finding if it cannot be believed. Changes
/// nothing.
Outcome<std::optional<StoredKernel>> read_kernel(const OpenFolder& kernels, const std::string& hash);

/// Writes `<hash>.cubin`, whole or not at all, replacing what is there. A finding if that failed.
std::optional<CacheFinding> write_kernel(const CacheFolder& cache, const OpenFolder& kernels,
                                         const KernelImage& kernel);

/// Bytes of all kernels and of files set aside.
std::uint64_t kernel_bytes(const OpenFolder& kernels);

/// Removes files set aside, then kernels other than `keep` that have not been used for the longest time,
/// until nine tenths of the limit are left; nothing if the limit is kept. Dates in the future, left by a
/// clock that was set back since, count as the oldest. Returns the bytes that remain.
std::uint64_t evict_kernels(const CacheFolder& cache, const OpenFolder& kernels, const std::string& keep);

}  // namespace flexgemm::detail
