#pragma once

#include "cuda/pass_run.hpp"
#include "cuda/resident_layout.hpp"

namespace flexgemm::detail {

/// The layout that a resident kernel of this spec reads.
ResidentKey resident_key(const codegen::KernelSpec& spec);

/// Points the parameters of a resident kernel to the layout.
template <class Parameters>
void set_layout(Parameters& parameters, const ResidentLayout& layout) {
  parameters.order = layout.order.data();
  parameters.masks = layout.masks.data();
  parameters.locals = layout.locals.data();
  parameters.phase_begin = layout.phase_begin.data();
  parameters.phase_offsets = layout.phase_offsets.data();
  parameters.input_begin = layout.input_begin.data();
  parameters.inputs = layout.inputs.data();
}

/// Operands of a resident_gemm.
struct ResidentGemm {
  const void* feats;
  const void* weight;
  void* output;
};

/// Launches `kernel`, a resident_gemm, over all rows of `map`.
void launch_resident(const PassRun& run, const Kernel& kernel, const CudaMap& map, const ResidentGemm& gemm);

}  // namespace flexgemm::detail
