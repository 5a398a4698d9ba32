#include <algorithm>
#include <cstddef>
#include <limits>

#include "codegen/resources.hpp"
#include "core/fail.hpp"
#include "cuda/device_array.hpp"
#include "cuda/kernel_parameters.hpp"
#include "cuda/pass_run.hpp"
#include "cuda/resident_gemm.hpp"

namespace flexgemm::detail {

namespace {

/// Where the products' sums go, and how they are cut.
struct Sums {
  void* target;
  bool accumulate;
  const ShareTable* shares = nullptr;  // none: groups are not split, and have the gradient's own places
};

const std::int32_t* part_words(const DeviceArray<PairPart>& parts) {
  return reinterpret_cast<const std::int32_t*>(parts.data());
}

void launch_products(const PassRun& run, const Kernel& kernel, const PairList& list, const void* feats,
                     const void* grad_out, const Sums& sums) {
  const ShareTable* shares = sums.shares;
  const GradWeightParameters parameters{.feats = feats,
                                        .grad_out = grad_out,
                                        .output = sums.target,
                                        .pairs = list.pairs.data(),
                                        .parts = part_words(shares ? shares->parts : list.parts),
                                        .share_begin = shares ? shares->share_begin.data() : nullptr,
                                        .accumulate = sums.accumulate ? 1 : 0,
                                        .unused = 0};
  kernel.launch(kernel.shape().tiles, shares ? shares->shares : list.groups, parameters, run.stream);
}

/// Rows of a chunk of explicit_gemm: whole K tiles.
std::int64_t chunk_rows(const PassRun& run) {
  constexpr std::int64_t unit = 64;
  const std::int64_t row_bytes = run.volume() * run.pass.conv->in_channels * run.element_bytes();
  return std::min(std::max(explicit_workspace_bytes / row_bytes / unit, std::int64_t{1}) * unit, run.rows());
}

PairKey chunk_key(std::int64_t rows) { return {.kind = PairKind::identity, .offsets = 1, .rows = rows}; }

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
    const PairList& list = pass.map->pair_list(chunk_key(rows), run.stream);
    const auto* grad_out =
        static_cast<const std::byte*>(pass.grad_out) + first * pass.conv->out_channels * run.element_bytes();
    launch_products(run, kernel, list, gathered.data(), grad_out,
                    {.target = sums.target, .accumulate = sums.accumulate || first != 0});
  }
}

PairKey list_key(const PassRun& run) {
  const Algorithm algorithm = run.choice.algorithm;
  const bool every = algorithm == Algorithm::implicit_gemm || algorithm == Algorithm::implicit_gemm_splitk;
  return {.kind = every ? PairKind::every : PairKind::valid,
          .offsets = run.choice.spec.offsets,
          .rows = run.rows()};
}

void run_products(const PassRun& run, const Kernel& kernel, const Sums& sums) {
  if (run.choice.algorithm == Algorithm::explicit_gemm) return run_explicit(run, kernel, sums);
  const PairList& list = run.pass.map->pair_list(list_key(run), run.stream);
  launch_products(run, kernel, list, run.pass.feats, run.pass.grad_out, sums);
}

/// Parts of the groups of partial sums: as a table says, or so many a group.
struct Parts {
  const ShareTable* table = nullptr;
  std::int64_t each = 0;
};

/// Adds the partial sums in their order, converts, and adds to what the gradient holds, if asked to.
void reduce(const PassRun& run, const DeviceArray<float>& partials, const Parts& parts) {
  const GemmPass& pass = run.pass;
  const Kernel& kernel =
      run.kernels.get(reduce_gradient_spec(target_of(run.device()), shape_of(pass), run.choice));
  const ReduceGradientParameters parameters{
      .partials = partials.data(),
      .part_range = parts.table == nullptr ? nullptr : parts.table->part_range.data(),
      .output = pass.output,
      .accumulate = pass.accumulate ? 1 : 0,
      .group_parts = static_cast<std::int32_t>(parts.each)};
  const std::int64_t bytes = pass.conv->out_channels * run.volume() * pass.conv->in_channels *
                             static_cast<std::int64_t>(size_of(pass.output_dtype));
  kernel.launch(grid_stride_blocks(run.device(), kernel, bytes / kernel.spec().output_vector_bytes), 1,
                parameters, run.stream);
}

/// From the resident layout, always split: all groups of offsets have as many parts, none of them empty.
void run_resident(const PassRun& run, const Kernel& kernel) {
  const GemmPass& pass = run.pass;
  const codegen::KernelSpec& spec = kernel.spec();
  const ResidentLayout& layout = pass.map->resident_layout(resident_key(spec), run.stream);
  const std::int64_t groups = kernel.shape().groups;
  const int count =
      codegen::gradient_shares(spec, run.choice.splits, run.device().properties().multiprocessors);
  const std::int64_t parts = std::clamp<std::int64_t>(count / groups, 1, layout.blocks);
  const std::int64_t part = std::int64_t{spec.offsets} * spec.in_channels * spec.out_channels;
  const DeviceArray<float> partials(run.memory(), groups * parts * part, run.stream);
  ResidentGradWeightParameters parameters{.feats = pass.feats,
                                          .grad_out = pass.grad_out,
                                          .output = partials.data(),
                                          .blocks = static_cast<std::int32_t>(layout.blocks),
                                          .parts = static_cast<std::int32_t>(parts)};
  set_layout(parameters, layout);
  kernel.launch(groups, parts, parameters, run.stream);
  reduce(run, partials, {.each = parts});
}

}  // namespace

void run_grad_weight(const PassRun& run) {
  const GemmPass& pass = run.pass;
  const Kernel& kernel = run.kernels.get(run.choice.spec);
  if (run.choice.spec.kind == codegen::KernelKind::resident_grad_weight) return run_resident(run, kernel);
  const codegen::KernelSpec& spec = kernel.spec();
  // explicit_gemm adds up its chunks in the places of the gradient: one part of one group.
  const bool dense = run.choice.algorithm == Algorithm::explicit_gemm;
  if (!needs_reduction(shape_of(pass), run.choice))
    return run_products(run, kernel, {.target = pass.output, .accumulate = pass.accumulate});
  if (spec.output != codegen::OutputType::partial) {
    fail(ErrorCode::internal, "the kernel {} cannot write a gradient in {}", codegen::to_string(spec),
         name(pass.output_dtype));
  }
  const ShareTable* table = nullptr;
  if (!dense) {
    const int shares =
        codegen::gradient_shares(spec, run.choice.splits, run.device().properties().multiprocessors);
    table = &pass.map->share_table(list_key(run), shares, run.stream);
  }
  const std::int64_t channels = pass.conv->in_channels * pass.conv->out_channels;
  const std::int64_t elements =
      dense ? run.volume() * channels : std::int64_t{table->part_count} * spec.offsets * channels;
  const DeviceArray<float> partials(run.memory(), elements, run.stream);
  run_products(run, kernel, {.target = partials.data(), .accumulate = false, .shares = table});
  reduce(run, partials, {.table = table, .each = 1});
}

}  // namespace flexgemm::detail
