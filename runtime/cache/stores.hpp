#pragma once

#include <memory>

#include <flexgemm/context.hpp>

#include "cache/kernel_store.hpp"
#include "cache/tuning_store.hpp"

namespace flexgemm::detail {

/// What outlives a context.
struct Stores {
  std::shared_ptr<KernelStore> kernels;  ///< null: without a cache and packs
  std::shared_ptr<TuningStore> tuning;   ///< never null
};

/// Opens the cache and the packs of a context. Never fails: what cannot be used is left out and reported once
/// in the log.
Stores open_stores(const ContextOptions& options);

}  // namespace flexgemm::detail
