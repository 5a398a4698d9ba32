#include <algorithm>
#include <cstddef>
#include <limits>

#include "core/fail.hpp"
#include "cuda/device_array.hpp"
#include "cuda/kernel_parameters.hpp"
#include "cuda/pass_run.hpp"

namespace flexgemm::detail {

namespace {

/// Where the products' sums go.
struct Sums {
  void* target;
  bool accumulate;
};

void launch_products(const PassRun& run, const Kernel& kernel, const PairList& list, const void* feats,
                     const void* grad_out, const Sums& sums) {
  const GradWeightParameters parameters{.feats = feats,
                                        .grad_out = grad_out,
                                        .output = sums.target,
                                        .group_begin = list.group_begin.data(),
                                        .pairs = list.pairs.data(),
                                        .splits = run.choice.splits,
                                        .accumulate = sums.accumulate ? 1 : 0};
  kernel.launch(kernel.shape().blocks, run.choice.splits, parameters, run.stream);
}

/// Rows of a chunk of explicit_gemm: whole K tiles.
std::int64_t chunk_rows(const PassRun& run) {
  constexpr std::int64_t unit = 64;
  const std::int64_t row_bytes = run.volume() * run.pass.conv->in_channels * run.element_bytes();
  return std::min(std::max(explicit_workspace_bytes / row_bytes / unit, std::int64_t{1}) * unit, run.rows());
}

/// Gathers the neighbors of a chunk of rows, then multiplies it by the chunk of grad_out, chunk after chunk.
void run_explicit(const PassRun& run, const Kernel& kernel, const Sums& sums) {
  const GemmPass& pass = run.pass;
  const Kernel& gather = run.kernels.get(gather_spec(target_of(run.device()), shape_of(pass)));
  const std::int64_t chunk = chunk_rows(run);
  const std::int64_t gathered_row = run.volume() * pass.conv->in_channels * run.element_bytes();
  const DeviceArray<std::byte> gathered(run.memory(), chunk * gathered_row, run.stream);
  const std::int64_t vectors_per_row = ceil_div(gathered_row, gather.spec().feats_vector_bytes);
  for (std::int64_t first = 0; first < run.rows(); first += chunk) {
    const std::int64_t rows = std::min(chunk, run.rows() - first);
    const GatherRowsParameters parameters{.feats = pass.feats,
                                          .indices = pass.map->indices(),
                                          .gathered = gathered.data(),
                                          .first_row = first,
                                          .rows = rows};
    gather.launch(grid_stride_blocks(run.device(), gather, rows * vectors_per_row), 1, parameters,
                  run.stream);
    const PairList& list =
        pass.map->pair_list({.kind = PairKind::identity, .offsets = 1, .rows = rows}, run.stream);
    const auto* grad_out =
        static_cast<const std::byte*>(pass.grad_out) + first * pass.conv->out_channels * run.element_bytes();
    launch_products(run, kernel, list, gathered.data(), grad_out,
                    {sums.target, sums.accumulate || first != 0});
  }
}

void run_products(const PassRun& run, const Sums& sums) {
  const Kernel& kernel = run.kernels.get(run.choice.spec);
  const Algorithm algorithm = run.choice.algorithm;
  if (algorithm == Algorithm::explicit_gemm) return run_explicit(run, kernel, sums);
  const bool every = algorithm == Algorithm::implicit_gemm || algorithm == Algorithm::implicit_gemm_splitk;
  const PairList& list = run.pass.map->pair_list({.kind = every ? PairKind::every : PairKind::valid,
                                                  .offsets = kernel.spec().offsets,
                                                  .rows = run.rows()},
                                                 run.stream);
  launch_products(run, kernel, list, run.pass.feats, run.pass.grad_out, sums);
}

/// Adds the partial sums in their order, converts, and adds to what the gradient holds, if asked to.
void reduce(const PassRun& run, const DeviceArray<float>& partials) {
  const GemmPass& pass = run.pass;
  const Kernel& kernel = run.kernels.get(reduce_spec(target_of(run.device()), shape_of(pass)));
  const std::int64_t rows = pass.conv->out_channels * run.volume();
  const ReducePartialsParameters parameters{.partials = partials.data(),
                                            .bias = nullptr,
                                            .output = pass.output,
                                            .rows = rows,
                                            .splits = run.choice.splits,
                                            .accumulate = pass.accumulate ? 1 : 0};
  const std::int64_t vectors = rows * pass.conv->in_channels *
                               static_cast<std::int64_t>(size_of(pass.output_dtype)) /
                               kernel.spec().output_vector_bytes;
  kernel.launch(grid_stride_blocks(run.device(), kernel, vectors), 1, parameters, run.stream);
}

}  // namespace

void run_grad_weight(const PassRun& run) {
  const GemmPass& pass = run.pass;
  if (!needs_reduction(shape_of(pass), run.choice)) return run_products(run, {pass.output, pass.accumulate});
  if (run.choice.spec.output != codegen::OutputType::partial) {
    fail(ErrorCode::internal, "the kernel {} cannot write a gradient in {}",
         codegen::to_string(run.choice.spec), name(pass.output_dtype));
  }
  const std::int64_t elements = run.volume() * pass.conv->in_channels * pass.conv->out_channels;
  const DeviceArray<float> partials(run.memory(), elements * run.choice.splits, run.stream);
  run_products(run, {partials.data(), false});
  reduce(run, partials);
}

}  // namespace flexgemm::detail
