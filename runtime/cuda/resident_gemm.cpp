#include "cuda/resident_gemm.hpp"

#include "codegen/resources.hpp"
#include "cuda/kernel_parameters.hpp"

namespace flexgemm::detail {

ResidentKey resident_key(const codegen::KernelSpec& spec) {
  return {.block_rows = spec.row_tile, .capacity = codegen::resident_capacity(spec)};
}

void launch_resident(const PassRun& run, const Kernel& kernel, const CudaMap& map, const ResidentGemm& gemm) {
  const ResidentLayout& layout = map.resident_layout(resident_key(kernel.spec()), run.stream);
  const EpilogueArguments& epilogue = run.pass.epilogue;
  ResidentGemmParameters parameters{.feats = gemm.feats,
                                    .weight = gemm.weight,
                                    .bias = run.pass.bias,
                                    .output = gemm.output,
                                    .residual = epilogue.residual,
                                    .scale = epilogue.scale,
                                    .shift = epilogue.shift,
                                    .rows = run.rows()};
  set_layout(parameters, layout);
  kernel.launch(layout.blocks, 1, parameters, run.stream);
}

}  // namespace flexgemm::detail
