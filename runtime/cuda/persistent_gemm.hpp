#pragma once

#include "cuda/kernel_parameters.hpp"
#include "cuda/pass_run.hpp"

namespace flexgemm::detail {

/// The operands of one launch of persistent_gemm.
struct PersistentGemm {
  const void* feats;  // [*, Ci]
  const void*
      weight;  // [Co, V, Ci] as the kernel's spec counts them, MN-major [Ci, V, Co]; aligned to 16 bytes
  const void* bias;      // [Co] or null
  const void* residual;  // [rows, Co], if the epilogue reads it
  void* output;          // [rows, Co], or float partials [groups, rows, Co]
  std::int64_t rows;
  bool mirrored = false;  // MN-major: the weights of offset v lie at V - 1 - v
};

/// Enqueues `kernel`, a persistent_gemm, over the tiles of `layout`. Its counters and, of chained groups, the
/// sums [rows, Co] come from the device's memory in stream order.
void launch_persistent(const PassRun& run, const Kernel& kernel, const TileLayout& layout,
                       const PersistentGemm& gemm);

}  // namespace flexgemm::detail
