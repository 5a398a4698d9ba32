#include "cuda/forward.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>

#include "core/fail.hpp"
#include "cuda/device_array.hpp"
#include "cuda/kernel_parameters.hpp"
#include "cuda/launch.hpp"

namespace flexgemm::detail {

namespace {

/// What every step of a pass needs.
struct Pass {
  KernelCache& kernels;
  const ForwardArguments& arguments;
  const CudaMap& map;
  const GemmChoice& choice;
  Stream stream;

  const CudaDevice& device() const { return kernels.device(); }
  std::int64_t in_channels() const { return arguments.conv->in_channels; }
  std::int64_t out_channels() const { return arguments.conv->out_channels; }
  std::int64_t element_bytes() const { return static_cast<std::int64_t>(size_of(arguments.conv->dtype)); }
};

/// Blocks for a grid-stride kernel: enough to fill the device, no more than there is work for.
std::int64_t grid_stride_blocks(const CudaDevice& device, const Kernel& kernel, std::int64_t work_items) {
  constexpr std::int64_t blocks_per_multiprocessor = 16;
  const std::int64_t most = blocks_per_multiprocessor * device.properties().multiprocessors;
  return std::clamp<std::int64_t>(ceil_div(work_items, kernel.shape().threads), 1, most);
}

void launch_gemm(const Pass& pass, const Kernel& kernel, const TileLayout& layout, const void* feats,
                 void* output, std::int64_t rows) {
  const ImplicitGemmParameters parameters{
      .feats = feats,
      .weight = pass.arguments.weight,
      .bias = pass.choice.spec.output == codegen::OutputType::partial ? nullptr : pass.arguments.bias,
      .output = output,
      .order = layout.order,
      .tile_begin = layout.tile_begin.data(),
      .step_offset = layout.step_offset.data(),
      .step_rows = layout.step_rows.data(),
      .tile_order = layout.tile_order.data(),
      .rows = rows,
      .tiles = static_cast<std::int32_t>(layout.tiles),
      .splits = pass.choice.splits};
  kernel.launch(layout.tiles * kernel.shape().column_tiles, pass.choice.splits, parameters, pass.stream);
}

/// The kernel of a helper step, with codegen's exceptions turned into the library's.
template <class MakeSpec>
const Kernel& helper_kernel(const Pass& pass, const MakeSpec& make_spec) {
  try {
    return pass.kernels.get(make_spec());
  } catch (const std::logic_error& error) {
    fail(ErrorCode::unsupported, "no kernel serves this convolution on {}: {}", pass.device().description(),
         error.what());
  }
}

void run_whole(const Pass& pass, const Kernel& kernel, const TileLayout& layout) {
  launch_gemm(pass, kernel, layout, pass.arguments.feats, pass.arguments.out, pass.map.rows);
}

void run_split(const Pass& pass, const Kernel& kernel, const TileLayout& layout) {
  codegen::GemmProblem problem =
      forward_problem(pass.device(), pass.arguments, pass.map, Algorithm::implicit_gemm);
  const Kernel& reduce = helper_kernel(pass, [&] { return codegen::reduce_partials_spec(problem); });
  const std::int64_t outputs = pass.map.rows * pass.out_channels();
  if (outputs >
      std::numeric_limits<std::int64_t>::max() / (pass.choice.splits * std::int64_t{sizeof(float)})) {
    fail(ErrorCode::out_of_memory, "{} partial sums of {} outputs exceed any memory", pass.choice.splits,
         outputs);
  }
  const DeviceArray<float> partials(pass.device().memory(), outputs * pass.choice.splits, pass.stream);
  launch_gemm(pass, kernel, layout, pass.arguments.feats, partials.data(), pass.map.rows);
  const ReducePartialsParameters parameters{.partials = partials.data(),
                                            .bias = pass.arguments.bias,
                                            .output = pass.arguments.out,
                                            .rows = pass.map.rows,
                                            .splits = pass.choice.splits,
                                            .unused = 0};
  const std::int64_t vector = reduce.spec().output_vector_bytes / pass.element_bytes();
  reduce.launch(grid_stride_blocks(pass.device(), reduce, ceil_div(outputs, vector)), 1, parameters,
                pass.stream);
}

/// Rows of a chunk of explicit_gemm: a multiple of the row tile, so that only the last chunk has a ragged
/// tile.
std::int64_t chunk_rows(const Pass& pass) {
  const std::int64_t row_bytes = pass.map.volume() * pass.in_channels() * pass.element_bytes();
  const std::int64_t tile = pass.choice.spec.row_tile;
  const std::int64_t fitting = std::max(explicit_workspace_bytes / row_bytes / tile, std::int64_t{1}) * tile;
  return std::min(fitting, pass.map.rows);
}

void run_explicit(const Pass& pass, const Kernel& kernel) {
  codegen::GemmProblem problem =
      forward_problem(pass.device(), pass.arguments, pass.map, Algorithm::implicit_gemm);
  problem.output_alignment = 16;  // the gathered rows
  const Kernel& gather = helper_kernel(pass, [&] { return codegen::gather_rows_spec(problem); });
  const std::int64_t chunk = chunk_rows(pass);
  const std::int64_t gathered_row = pass.map.volume() * pass.in_channels() * pass.element_bytes();
  const DeviceArray<std::byte> gathered(pass.device().memory(), chunk * gathered_row, pass.stream);
  const std::int64_t vectors_per_row = ceil_div(gathered_row, gather.spec().feats_vector_bytes);
  for (std::int64_t first = 0; first < pass.map.rows; first += chunk) {
    const std::int64_t rows = std::min(chunk, pass.map.rows - first);
    const GatherRowsParameters parameters{.feats = pass.arguments.feats,
                                          .indices = pass.map.indices(),
                                          .gathered = gathered.data(),
                                          .first_row = first,
                                          .rows = rows};
    gather.launch(grid_stride_blocks(pass.device(), gather, rows * vectors_per_row), 1, parameters,
                  pass.stream);
    const TileLayout& layout = pass.map.layout(
        {.kind = LayoutKind::identity, .row_tile = kernel.spec().row_tile, .rows = rows}, pass.stream);
    auto* output =
        static_cast<std::byte*>(pass.arguments.out) + first * pass.out_channels() * pass.element_bytes();
    launch_gemm(pass, kernel, layout, gathered.data(), output, rows);
  }
}

const TileLayout& layout_of(const Pass& pass, LayoutKind kind) {
  return pass.map.layout({.kind = kind, .row_tile = pass.choice.spec.row_tile, .rows = pass.map.rows},
                         pass.stream);
}

void run(const Pass& pass) {
  const Kernel& kernel = pass.kernels.get(pass.choice.spec);
  switch (pass.choice.algorithm) {
    case Algorithm::explicit_gemm:
      return run_explicit(pass, kernel);
    case Algorithm::implicit_gemm:
      return run_whole(pass, kernel, layout_of(pass, LayoutKind::dense));
    case Algorithm::masked_implicit_gemm:
      return run_whole(pass, kernel, layout_of(pass, LayoutKind::masked));
    case Algorithm::implicit_gemm_splitk:
      return run_split(pass, kernel, layout_of(pass, LayoutKind::dense));
    case Algorithm::masked_implicit_gemm_splitk:
      return run_split(pass, kernel, layout_of(pass, LayoutKind::masked));
    case Algorithm::automatic:
      break;
  }
  fail(ErrorCode::internal, "a forward pass was started before its algorithm was chosen");
}

}  // namespace

void forward_with_choice(KernelCache& kernels, const ForwardArguments& arguments, const CudaMap& map,
                         const GemmChoice& choice, Stream stream) {
  if (map.rows == 0) return;
  map.wait_ready(stream);
  run({kernels, arguments, map, choice, stream});
  map.record_use(stream);
}

}  // namespace flexgemm::detail
