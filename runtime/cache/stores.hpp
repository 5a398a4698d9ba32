#pragma once

#include <memory>

#include <flexgemm/context.hpp>

#include "cache/kernel_pack.hpp"
#include "cache/tuning_store.hpp"

namespace flexgemm::detail {

/// What outlives a context.
struct Stores {
  std::shared_ptr<PackedKernelStore> kernels;  ///< never null
  std::shared_ptr<TuningStore> tuning;         ///< never null
  /// Whether there is a cache without a kernel so far, and no pack with one: the first layer will be
  /// compiled, and the next process will not.
  bool first_start = false;

  /// One more pack, looked in after those that are here. Throws Error{io} with what is wrong with the file.
  void load_pack(const std::filesystem::path& path) const;
};

/// Opens the cache and the packs of a context. Never fails: what cannot be used is left out and reported once
/// in the log.
Stores open_stores(const ContextOptions& options);

}  // namespace flexgemm::detail
