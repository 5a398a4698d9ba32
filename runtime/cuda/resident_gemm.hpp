#pragma once

#include "cuda/pass_run.hpp"
#include "cuda/resident_layout.hpp"

namespace flexgemm::detail {

/// The layout that a resident kernel of this spec reads.
ResidentKey resident_key(const codegen::KernelSpec& spec);

/// Operands of a resident_gemm.
struct ResidentGemm {
  const void* feats;
  const void* weight;
  void* output;
};

/// Launches `kernel`, a resident_gemm, over all rows of `map`.
void launch_resident(const PassRun& run, const Kernel& kernel, const CudaMap& map, const ResidentGemm& gemm);

}  // namespace flexgemm::detail
