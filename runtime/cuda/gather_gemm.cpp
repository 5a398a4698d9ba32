#include <algorithm>
#include <cstddef>
#include <limits>

#include "core/fail.hpp"
#include "cuda/device_array.hpp"
#include "cuda/kernel_parameters.hpp"
#include "cuda/pass_run.hpp"
#include "cuda/persistent_gemm.hpp"
#include "cuda/resident_gemm.hpp"
#include "cuda/transpose_weights.hpp"

namespace flexgemm::detail {

namespace {

/// The operands of gathered rows times weights: output[n] = bias + sum over v of input[map[n, v]] * weight.
struct GatherGemm {
  const PassRun& run;
  const CudaMap& map;
  const void* input;  // [N, in_channels]
  std::int64_t in_channels;
  std::int64_t out_channels;
  const void* weight;  // [out_channels, V, in_channels]; for kernels that read it MN-major with the outer two
                       // exchanged
  bool mirrored = false;  // MN-major: whether the weights name the offsets the other way round

  const CudaDevice& device() const { return run.device(); }
  const GemmChoice& choice() const { return run.choice; }
};

/// `first_row` is the output row, and the residual's, that row 0 of the layout stands for.
void launch_gemm(const GatherGemm& gemm, const Kernel& kernel, const TileLayout& layout, const void* feats,
                 void* output, std::int64_t rows, std::int64_t first_row = 0) {
  const EpilogueArguments& epilogue = gemm.run.pass.epilogue;
  const auto* residual = static_cast<const std::byte*>(epilogue.residual);
  if (residual != nullptr) residual += first_row * gemm.out_channels * gemm.run.element_bytes();
  if (kernel.spec().kind == codegen::KernelKind::persistent_gemm) {
    launch_persistent(gemm.run, kernel, layout,
                      {.feats = feats,
                       .weight = gemm.weight,
                       .bias = gemm.run.pass.bias,
                       .residual = residual,
                       .output = output,
                       .rows = rows,
                       .mirrored = gemm.mirrored});
    return;
  }
  const ImplicitGemmParameters parameters{
      .feats = feats,
      .weight = gemm.weight,
      .bias = gemm.choice().spec.output == codegen::OutputType::partial ? nullptr : gemm.run.pass.bias,
      .output = output,
      .order = layout.order,
      .tile_begin = layout.tile_begin.data(),
      .step_offset = layout.step_offset.data(),
      .step_rows = layout.step_rows.data(),
      .tile_order = layout.tile_order.data(),
      .residual = residual,
      .scale = epilogue.scale,
      .shift = epilogue.shift,
      .rows = rows,
      .tiles = static_cast<std::int32_t>(layout.tiles),
      .splits = gemm.choice().splits};
  kernel.launch(layout.tiles * kernel.shape().column_tiles, gemm.choice().splits, parameters,
                gemm.run.stream);
}

void run_whole(const GatherGemm& gemm, const Kernel& kernel, const TileLayout& layout) {
  launch_gemm(gemm, kernel, layout, gemm.input, gemm.run.pass.output, gemm.run.rows());
}

void run_split(const GatherGemm& gemm, const Kernel& kernel, const TileLayout& layout) {
  const PassRun& run = gemm.run;
  const Kernel& reduce = run.kernels.get(reduce_spec(target_of(run.device()), shape_of(run.pass)));
  const int splits = run.choice.splits;
  const std::int64_t outputs = run.rows() * gemm.out_channels;
  if (outputs > std::numeric_limits<std::int64_t>::max() / (splits * std::int64_t{sizeof(float)})) {
    fail(ErrorCode::out_of_memory, "{} partial sums of {} outputs exceed any memory", splits, outputs);
  }
  const DeviceArray<float> partials(run.memory(), outputs * splits, run.stream);
  launch_gemm(gemm, kernel, layout, gemm.input, partials.data(), run.rows());
  const ReducePartialsParameters parameters{.partials = partials.data(),
                                            .bias = run.pass.bias,
                                            .output = run.pass.output,
                                            .residual = run.pass.epilogue.residual,
                                            .scale = run.pass.epilogue.scale,
                                            .shift = run.pass.epilogue.shift,
                                            .live_rows = gemm.map.live_rows(),
                                            .rows = run.rows(),
                                            .splits = splits,
                                            .unused = 0};
  const std::int64_t vector = reduce.spec().output_vector_bytes / run.element_bytes();
  reduce.launch(grid_stride_blocks(run.device(), reduce, ceil_div(outputs, vector)), 1, parameters,
                run.stream);
}

/// Rows of a chunk of explicit_gemm: a multiple of the row tile, so that only the last chunk has a ragged
/// tile.
std::int64_t chunk_rows(const GatherGemm& gemm) {
  const std::int64_t row_bytes = gemm.run.volume() * gemm.in_channels * gemm.run.element_bytes();
  const std::int64_t tile = gemm.choice().spec.row_tile;
  const std::int64_t fitting = std::max(explicit_workspace_bytes / row_bytes / tile, std::int64_t{1}) * tile;
  return std::min(fitting, gemm.run.rows());
}

void run_explicit(const GatherGemm& gemm, const Kernel& kernel) {
  const PassRun& run = gemm.run;
  const Kernel& gather = run.kernels.get(gather_spec(target_of(run.device()), shape_of(run.pass)));
  const std::int64_t chunk = chunk_rows(gemm);
  const std::int64_t gathered_row = run.volume() * gemm.in_channels * run.element_bytes();
  const DeviceArray<std::byte> gathered(run.memory(), chunk * gathered_row, run.stream);
  const std::int64_t vectors_per_row = ceil_div(gathered_row, gather.spec().feats_vector_bytes);
  for (std::int64_t first = 0; first < run.rows(); first += chunk) {
    const std::int64_t rows = std::min(chunk, run.rows() - first);
    const GatherRowsParameters parameters{.feats = gemm.input,
                                          .indices = gemm.map.indices(),
                                          .gathered = gathered.data(),
                                          .first_row = first,
                                          .rows = rows};
    gather.launch(grid_stride_blocks(run.device(), gather, rows * vectors_per_row), 1, parameters,
                  run.stream);
    const TileLayout& layout = gemm.map.layout(
        {.kind = LayoutKind::identity, .row_tile = kernel.spec().row_tile, .rows = rows}, run.stream);
    auto* output = static_cast<std::byte*>(run.pass.output) + first * gemm.out_channels * run.element_bytes();
    launch_gemm(gemm, kernel, layout, gathered.data(), output, rows, first);
  }
}

const TileLayout& layout_of(const GatherGemm& gemm, LayoutKind kind) {
  return gemm.map.layout({.kind = kind,
                          .row_tile = gemm.choice().spec.row_tile,
                          .rows = gemm.run.rows(),
                          .groups = gemm.choice().groups,
                          .group_major = gemm.choice().spec.output == codegen::OutputType::chained},
                         gemm.run.stream);
}

void run_algorithm(const GatherGemm& gemm) {
  const Kernel& kernel = gemm.run.kernels.get(gemm.choice().spec);
  if (kernel.spec().kind == codegen::KernelKind::resident_gemm) {
    return launch_resident(gemm.run, kernel, gemm.map,
                           {.feats = gemm.input, .weight = gemm.weight, .output = gemm.run.pass.output});
  }
  switch (gemm.choice().algorithm) {
    case Algorithm::explicit_gemm:
      return run_explicit(gemm, kernel);
    case Algorithm::implicit_gemm:
      return run_whole(gemm, kernel, layout_of(gemm, LayoutKind::dense));
    case Algorithm::masked_implicit_gemm:
      return run_whole(gemm, kernel, layout_of(gemm, LayoutKind::masked));
    case Algorithm::implicit_gemm_splitk:
      return run_split(gemm, kernel, layout_of(gemm, LayoutKind::dense));
    case Algorithm::masked_implicit_gemm_splitk:
      return run_split(gemm, kernel, layout_of(gemm, LayoutKind::masked));
    case Algorithm::automatic:
      break;
  }
}

}  // namespace

void run_forward(const PassRun& run) {
  const GemmPass& pass = run.pass;
  run_algorithm({.run = run,
                 .map = *pass.map,
                 .input = pass.feats,
                 .in_channels = pass.conv->in_channels,
                 .out_channels = pass.conv->out_channels,
                 .weight = pass.weight});
}

void run_grad_input(const PassRun& run) {
  const GemmPass& pass = run.pass;
  const CudaMap& map = *pass.map;
  const CudaMap& inverse = map.inverse(run.stream);
  const bool as_given = run.choice.spec.weight_major == codegen::WeightMajor::mn;
  DeviceArray<std::byte> own;
  const void* weight = as_given ? pass.weight : pass.transposed_weight;
  if (weight == nullptr) {
    const std::int64_t elements = run.volume() * pass.conv->in_channels * pass.conv->out_channels;
    own = DeviceArray<std::byte>(run.memory(), elements * run.element_bytes(), run.stream);
    const Kernel& transpose = run.kernels.get(transpose_spec(target_of(run.device()), shape_of(pass)));
    launch_transpose(transpose, *pass.conv, pass.weight, own.data(), run.stream);
    weight = own.data();
  }
  run_algorithm({.run = run,
                 .map = inverse,
                 .input = pass.grad_out,
                 .in_channels = pass.conv->out_channels,
                 .out_channels = pass.conv->in_channels,
                 .weight = weight,
                 // A map that is its own inverse names the offsets the other way round.
                 .mirrored = as_given && &inverse == &map});
  if (&inverse != &map && run.stream.recorder() == nullptr) inverse.record_use(run.stream);
}

}  // namespace flexgemm::detail
