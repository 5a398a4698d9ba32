#include <algorithm>
#include <iterator>
#include <sstream>

#include "emit.hpp"
#include "expression.hpp"
#include "resources.hpp"

// The rules a spec must keep, each with its reason. Every rule returns a sentence, or nothing.

namespace flexgemm::codegen {

namespace {

using Reason = std::optional<std::string>;

template <class... Parts>
std::string sentence(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

constexpr int max_volume = 343;  // 7 x 7 x 7

Reason check_problem(const KernelSpec& spec) {
  if (spec.in_channels < 1 || spec.out_channels < 1) {
    return sentence("channels must be at least 1: there are ", spec.in_channels, " input and ",
                    spec.out_channels, " output channels.");
  }
  if (spec.volume < 1 || spec.volume > max_volume) {
    return sentence("the kernel volume must be 1 to ", max_volume, " (7x7x7): it is ", spec.volume, ".");
  }
  return {};
}

Reason check_vector(const char* operand, int bytes, int element_bytes, std::int64_t row_bytes) {
  if (bytes != 2 && bytes != 4 && bytes != 8 && bytes != 16) {
    return sentence("a vector of ", operand, " must have 2, 4, 8 or 16 bytes: it has ", bytes, ".");
  }
  if (bytes < element_bytes) {
    return sentence("a vector of ", operand, " (", bytes, " bytes) is smaller than one element (",
                    element_bytes, " bytes).");
  }
  if (row_bytes % bytes != 0) {
    return sentence("a vector of ", operand, " (", bytes, " bytes) does not divide a row of ", row_bytes,
                    " bytes: it would cross into the next row.");
  }
  return {};
}

Reason check_vectors(const KernelSpec& spec) {
  const int element = storage_bytes(spec.compute);
  const int output_element = spec.output == OutputType::partial ? 4 : element;
  const std::int64_t in_bytes = std::int64_t{spec.in_channels} * element;
  const std::int64_t out_bytes = std::int64_t{spec.out_channels} * output_element;
  if (spec.kind == KernelKind::reduce_gradient) {
    return check_vector("the output", spec.output_vector_bytes, output_element,
                        std::int64_t{spec.in_channels} * output_element);
  }
  if (spec.kind == KernelKind::grad_weight || spec.kind == KernelKind::resident_grad_weight) {
    if (Reason reason = check_vector("grad_out", spec.weight_vector_bytes, element,
                                     std::int64_t{spec.out_channels} * element))
      return reason;
    const std::int64_t gradient_bytes = std::int64_t{spec.in_channels} * output_element;
    if (Reason reason = check_vector("feats", spec.feats_vector_bytes, element, in_bytes)) return reason;
    return check_vector("the output", spec.output_vector_bytes, output_element, gradient_bytes);
  }
  if (spec.kind != KernelKind::reduce_partials) {
    if (Reason reason = check_vector("feats", spec.feats_vector_bytes, element, in_bytes)) return reason;
  }
  if (is_gathered_gemm(spec)) {
    const std::int64_t weight_bytes =
        spec.weight_major == WeightMajor::k ? in_bytes : std::int64_t{spec.out_channels} * element;
    if (Reason reason = check_vector("weights", spec.weight_vector_bytes, element, weight_bytes))
      return reason;
  }
  if (spec.kind != KernelKind::gather_rows) {
    return check_vector("the output", spec.output_vector_bytes, output_element, out_bytes);
  }
  return {};
}

Reason check_epilogue(const KernelSpec& spec) {
  if (spec.epilogue.empty()) return {};
  const bool finishes_forward = spec.kind == KernelKind::implicit_gemm ||
                                spec.kind == KernelKind::resident_gemm ||
                                spec.kind == KernelKind::reduce_partials;
  if (!finishes_forward || spec.output == OutputType::partial) {
    return sentence("the epilogue ", spec.epilogue,
                    " needs finished sums of a forward pass: ", name(spec.kind),
                    " with this output has none.");
  }
  try {
    const std::string canonical = to_string(Expression::parse(spec.epilogue, true));
    if (canonical != spec.epilogue) {
      return sentence("the epilogue ", spec.epilogue, " is not in its canonical form ", canonical, ".");
    }
  } catch (const ExpressionError& error) {
    return std::string(error.what()) + ".";
  }
  return {};
}

Reason check_block(const KernelSpec& spec) {
  if (spec.warps_m < 1 || spec.warps_m > 16 || spec.warps_n < 1 || spec.warps_n > 16 / spec.warps_m) {
    return sentence("a block has 1 to 16 warps: there are ", spec.warps_m, " x ", spec.warps_n, ".");
  }
  const int threads = block_threads(spec);
  const int limit = spec.architecture.threads_per_multiprocessor();
  if (spec.min_blocks < 1 || spec.min_blocks > limit / threads) {
    return sentence("a multiprocessor of ", to_string(spec.architecture), " holds ", limit,
                    " threads and at least one block: asked for are ", spec.min_blocks, " blocks of ",
                    threads, " threads.");
  }
  return {};
}

/// wgmma multiplies blocks of 64 rows a warpgroup, from K tiles of 128 bytes, while the next ones arrive.
Reason check_wgmma_tile(const KernelSpec& spec) {
  const int groups = spec.warps_m / 4;
  if (spec.warps_m % 4 != 0 || spec.row_tile % (64 * groups) != 0) {
    return sentence(
        "wgmma takes warpgroups of 4 warps along the rows with a multiple of 64 rows each: there are ",
        spec.warps_m, " warps along ", spec.row_tile, " rows.");
  }
  const int columns = spec.column_tile / spec.warps_n;
  if (std::find(std::begin(wgmma_widths), std::end(wgmma_widths), columns) == std::end(wgmma_widths)) {
    return sentence("a warpgroup's wgmma must be 16, 32, 64, 96, 128, 192 or 256 columns wide: it is ",
                    columns, ".");
  }
  if (spec.k_tile * storage_bytes(spec.compute) != 128) {
    return sentence("wgmma reads K tiles of 128 bytes: ", spec.k_tile, " elements of ", name(spec.compute),
                    " are ", spec.k_tile * storage_bytes(spec.compute), " bytes.");
  }
  if (!uses_async_copy(spec) || spec.stages < 3) {
    return sentence("wgmma needs cp.async with vectors of at least 4 bytes and 3 stages: vectors have ",
                    spec.feats_vector_bytes, " and ", spec.weight_vector_bytes, " bytes and there are ",
                    spec.stages, " stages.");
  }
  return {};
}

/// What persistent_gemm asks beyond wgmma's rules.
Reason check_persistent(const KernelSpec& spec) {
  if (spec.mma != MmaPath::wgmma) {
    return sentence("persistent_gemm multiplies with wgmma: its path is ", name(spec.mma), ".");
  }
  if (spec.feats_vector_bytes != 16 || spec.weight_vector_bytes != 16) {
    return sentence("persistent_gemm loads 16 bytes at a time, as the copy engine does: vectors have ",
                    spec.feats_vector_bytes, " and ", spec.weight_vector_bytes, " bytes.");
  }
  const int columns = spec.column_tile / spec.warps_n;
  if (columns % 32 != 0 || spec.out_channels % 8 != 0) {
    return sentence("persistent_gemm stores 8 channels a lane and 32 a row of lanes: a warpgroup has ",
                    columns, " columns and there are ", spec.out_channels, " output channels.");
  }
  const bool halves = spec.output != OutputType::partial && storage_bytes(spec.compute) == 2;
  const int stored = halves ? 16 : 8;  // templates/epilogue/store_fragments.cuh
  if (spec.output_vector_bytes < stored) {
    return sentence("persistent_gemm stores ", stored, " bytes at a time: vectors of the output have ",
                    spec.output_vector_bytes, ".");
  }
  constexpr int most_consumers = 3;  // warpgroups that share the registers with the producer
  if (spec.warps_m * spec.warps_n / 4 > most_consumers) {
    return sentence("persistent_gemm has at most ", most_consumers, " consumer warpgroups: there are ",
                    spec.warps_m * spec.warps_n / 4, ".");
  }
  return {};
}

/// A cluster shares the rows of a tile, and each tile of weights that its blocks fetch in parts.
Reason check_cluster(const KernelSpec& spec) {
  if (spec.cluster == 1) return {};
  if (spec.cluster != 2 || spec.kind != KernelKind::persistent_gemm || spec.output == OutputType::chained) {
    return sentence("clusters are pairs of blocks of persistent_gemm without chained groups: the kernel is ",
                    name(spec.kind), " with clusters of ", spec.cluster, ".");
  }
  if (spec.row_tile % 128 != 0 || spec.column_tile % 16 != 0) {
    return sentence(
        "each block of a pair takes a multiple of 64 rows and fetches a multiple of 8 columns: the "
        "tile is ",
        spec.row_tile, "x", spec.column_tile, ".");
  }
  return {};
}

/// MN-major weights arrive in boxes of 64 columns, 128 bytes, of which a warpgroup reads its own.
Reason check_weight_major(const KernelSpec& spec) {
  if (spec.weight_major == WeightMajor::k) return {};
  if (spec.kind != KernelKind::persistent_gemm || storage_bytes(spec.compute) != 2 || spec.cluster != 1) {
    return sentence("MN-major weights are for persistent_gemm in 16 bits without clusters: the kernel is ",
                    name(spec.kind), " in ", name(spec.compute), " with clusters of ", spec.cluster, ".");
  }
  constexpr int box_columns = 64;
  if (spec.column_tile % (box_columns * spec.warps_n) != 0) {
    return sentence("MN-major weights take a multiple of ", box_columns, " columns for each of ",
                    spec.warps_n, " warps: the column tile is ", spec.column_tile, ".");
  }
  return {};
}

Reason check_output(const KernelSpec& spec) {
  if (spec.output == OutputType::chained && spec.kind != KernelKind::persistent_gemm) {
    return sentence("only persistent_gemm chains groups of offsets: the kernel is ", name(spec.kind), ".");
  }
  return {};
}

Reason check_tile(const KernelSpec& spec) {
  const int column_unit = spec.mma == MmaPath::ffma ? 8 : 16;
  if (spec.row_tile < 16 || spec.row_tile > 256 || spec.row_tile % (16 * spec.warps_m) != 0) {
    return sentence("the row tile must be at most 256 and a multiple of 16 rows for each of its ",
                    spec.warps_m, " warps: it is ", spec.row_tile, ".");
  }
  if (spec.column_tile < column_unit || spec.column_tile > 256 ||
      spec.column_tile % (column_unit * spec.warps_n) != 0) {
    return sentence("the column tile must be at most 256 and a multiple of ", column_unit,
                    " channels for each of its ", spec.warps_n, " warps: it is ", spec.column_tile, ".");
  }
  const std::int64_t k_bytes = std::int64_t{spec.k_tile} * storage_bytes(spec.compute);
  if (k_bytes != 64 && k_bytes != 128) {
    return sentence("a K tile must be 64 or 128 bytes, rows that the shared-memory swizzle is made for: ",
                    spec.k_tile, " elements of ", name(spec.compute), " are ", k_bytes, " bytes.");
  }
  for (const int vector_bytes : {spec.feats_vector_bytes, spec.weight_vector_bytes}) {
    const std::int64_t columns = k_bytes / vector_bytes;
    if (block_threads(spec) % columns != 0) {
      return sentence(block_threads(spec), " threads do not cover whole tile rows of ", columns,
                      " vectors of ", vector_bytes, " bytes.");
    }
  }
  if (spec.mma == MmaPath::wgmma) {
    if (Reason reason = check_wgmma_tile(spec)) return reason;
  }
  if (spec.kind == KernelKind::persistent_gemm) return check_persistent(spec);
  return {};
}

/// wgmma takes operands of 16-bit types MN-major, in blocks of 64 channels; tf32 is transposed on the way.
Reason check_gradient_wgmma(const KernelSpec& spec) {
  const int columns = gradient_columns(spec) / spec.warps_n;
  if (storage_bytes(spec.compute) == 4 && (spec.feats_vector_bytes != 16 || spec.weight_vector_bytes != 16 ||
                                           spec.k_tile != 32 || spec.stages != 3)) {
    return sentence(
        "wgmma transposes tf32 in vectors of 16 bytes, K tiles of 32 pairs and 3 stages: vectors have ",
        spec.feats_vector_bytes, " and ", spec.weight_vector_bytes, " bytes, there are ", spec.k_tile,
        " pairs and ", spec.stages, " stages.");
  }
  if (columns > 256 || (spec.warps_n > 1 && columns % 64 != 0)) {
    return sentence(
        "a warpgroup's wgmma must be at most 256 columns wide, and a multiple of 64 where several "
        "share the columns: it is ",
        columns, ".");
  }
  KernelSpec as_gemm = spec;  // the rules on warpgroups, rows and stages are those of implicit_gemm
  as_gemm.column_tile = columns * spec.warps_n;
  as_gemm.k_tile = 128 / storage_bytes(spec.compute);
  return check_wgmma_tile(as_gemm);
}

Reason check_gradient_tile(const KernelSpec& spec) {
  if (spec.offsets < 1 || spec.offsets > spec.volume) {
    return sentence("a block takes 1 to ", spec.volume, " kernel offsets: it has ", spec.offsets, ".");
  }
  if (spec.row_tile < 16 || spec.row_tile > 256 || spec.row_tile % (16 * spec.warps_m) != 0) {
    return sentence("the row tile must be at most 256 and a multiple of 16 output channels for each of its ",
                    spec.warps_m, " warps: it is ", spec.row_tile, ".");
  }
  const bool whole = spec.column_tile == spec.in_channels;
  if (spec.column_tile < 1 || spec.column_tile > 256 || (!whole && spec.column_tile % 16 != 0)) {
    return sentence("the column tile must be all ", spec.in_channels,
                    " input channels or a multiple of 16 of them, at most 256: it is ", spec.column_tile,
                    ".");
  }
  if (spec.offsets > 1 && !whole) {
    return sentence("a block of ", spec.offsets, " offsets takes all ", spec.in_channels,
                    " input channels of each: its column tile is ", spec.column_tile, ".");
  }
  if (gradient_columns(spec) > 512) {
    return sentence("a block has at most 512 columns: ", spec.offsets, " offsets of ", spec.column_tile,
                    " channels are ", gradient_columns(spec), ".");
  }
  if (spec.k_tile != 32 && spec.k_tile != 64) {
    return sentence("a K tile is 32 or 64 pairs, one or two blocks of the pair list: it is ", spec.k_tile,
                    ".");
  }
  return spec.mma == MmaPath::wgmma ? check_gradient_wgmma(spec) : Reason{};
}

/// templates/kernels/resident_grad_weight.cuh
Reason check_resident_gradient(const KernelSpec& spec) {
  if (spec.mma != MmaPath::wgmma || storage_bytes(spec.compute) != 2) {
    return sentence("resident_grad_weight transposes 16-bit elements for wgmma: they are ",
                    name(spec.compute), " for ", name(spec.mma), ".");
  }
  if (spec.output != OutputType::partial) return "resident_grad_weight writes partial sums alone.";
  const int in = spec.in_channels;
  if ((in != 16 && in != 32 && in != 64 && in != 128) || spec.out_channels % 8 != 0) {
    return sentence(
        "resident_grad_weight takes 16, 32, 64 or 128 input channels and a multiple of 8 output channels: "
        "there are ",
        in, " and ", spec.out_channels, ".");
  }
  const bool has_width =
      std::find(std::begin(wgmma_widths), std::end(wgmma_widths), spec.column_tile) != std::end(wgmma_widths);
  if (!has_width || spec.column_tile < spec.out_channels || spec.column_tile > 128) {
    return sentence("the column tile must be 16, 32, 64, 96 or 128 and hold all ", spec.out_channels,
                    " output channels: it is ", spec.column_tile, ".");
  }
  constexpr int most_offsets = 32;  // bits of a mask
  if (spec.volume > most_offsets || spec.offsets < 1 || spec.offsets > spec.volume) {
    return sentence("a block takes 1 to all kernel offsets, of which a resident layout has at most ",
                    most_offsets, ": it has ", spec.offsets, " of ", spec.volume, ".");
  }
  if (spec.row_tile < 64 || spec.row_tile > 512 || spec.row_tile % 64 != 0) {
    return sentence("a block of a resident layout has a multiple of 64 slots, at most 512: it has ",
                    spec.row_tile, ".");
  }
  if (spec.k_tile != 16 || spec.stages < 1 || spec.stages > 2 || spec.warps_n != 1 || spec.warps_m % 4 != 0) {
    return sentence(
        "resident_grad_weight has steps of 16 slots, 1 or 2 stages and whole warpgroups along the offsets: "
        "there are steps of ",
        spec.k_tile, ", ", spec.stages, " stages and ", spec.warps_m, " x ", spec.warps_n, " warps.");
  }
  if (spec.feats_vector_bytes != 16 || spec.weight_vector_bytes != 16) {
    return sentence("resident_grad_weight copies 16 bytes at a time: vectors have ", spec.feats_vector_bytes,
                    " and ", spec.weight_vector_bytes, " bytes.");
  }
  if (resident_capacity(spec) < spec.row_tile) {
    return sentence("a block must hold an input row for each of its ", spec.row_tile,
                    " slots: shared memory has room for ", resident_capacity(spec), ".");
  }
  return {};
}

/// templates/kernels/resident_gemm.cuh
Reason check_resident_gemm(const KernelSpec& spec) {
  if (spec.mma != MmaPath::wgmma || spec.output != OutputType::storage) {
    return sentence("resident_gemm multiplies with wgmma and finishes its rows: its path is ", name(spec.mma),
                    ".");
  }
  const int row_bytes = spec.in_channels * storage_bytes(spec.compute);
  if (row_bytes != 32 && row_bytes != 64 && row_bytes != 128 && row_bytes != 256) {
    return sentence("resident_gemm takes input rows of 32, 64, 128 or 256 bytes: they have ", row_bytes, ".");
  }
  const bool has_width =
      std::find(std::begin(wgmma_widths), std::end(wgmma_widths), spec.column_tile) != std::end(wgmma_widths);
  if (!has_width || spec.column_tile < spec.out_channels || spec.column_tile > 128) {
    return sentence("the column tile must be 16, 32, 64, 96 or 128 and hold all ", spec.out_channels,
                    " output channels: it is ", spec.column_tile, ".");
  }
  constexpr int most_offsets = 32;  // bits of a mask
  if (spec.volume > most_offsets) {
    return sentence("a resident layout has at most ", most_offsets, " kernel offsets: there are ",
                    spec.volume, ".");
  }
  if (spec.warps_n != 1 || spec.warps_m % 4 != 0 || spec.row_tile < 64 || spec.row_tile > 512 ||
      spec.row_tile % (16 * spec.warps_m) != 0) {
    return sentence(
        "resident_gemm has 64 to 512 slots a block, a multiple of 64 for each warpgroup: there are ",
        spec.row_tile, " for ", spec.warps_m, " x ", spec.warps_n, " warps.");
  }
  if (spec.k_tile * storage_bytes(spec.compute) != 128 || spec.stages < 3 || spec.stages > 8) {
    return sentence("resident_gemm has 3 to 8 stages of K tiles of 128 bytes: there are ", spec.stages,
                    " of ", spec.k_tile * storage_bytes(spec.compute), " bytes.");
  }
  if (spec.feats_vector_bytes != 16 || spec.weight_vector_bytes != 16) {
    return sentence("resident_gemm copies 16 bytes at a time: vectors have ", spec.feats_vector_bytes,
                    " and ", spec.weight_vector_bytes, " bytes.");
  }
  if (resident_capacity(spec) < spec.row_tile) {
    return sentence("a block must hold an input row for each of its ", spec.row_tile,
                    " slots: shared memory has room for ", resident_capacity(spec), ".");
  }
  return {};
}

Reason check_stages(const KernelSpec& spec) {
  if (is_resident(spec.kind)) return {};
  if (spec.stages < 2 || spec.stages > 8) {
    return sentence("a pipeline has 2 to 8 stages: there are ", spec.stages, ".");
  }
  if (!uses_async_copy(spec) && spec.stages != 2) {
    return sentence(
        "without cp.async (sm_80 and up, vectors of 4 bytes and more) a pipeline has 2 stages: there are ",
        spec.stages, " on ", to_string(spec.architecture), " with vectors of ", spec.feats_vector_bytes,
        " and ", spec.weight_vector_bytes, " bytes.");
  }
  return {};
}

Reason check_capability(const KernelSpec& spec) {
  if (spec.mma == MmaPath::mma_sync && !spec.architecture.has_mma_sync(spec.compute)) {
    return sentence(to_string(spec.architecture), " has no mma.sync for ", name(spec.compute), ": use ffma.");
  }
  if (spec.mma == MmaPath::wgmma && !spec.architecture.has_wgmma(spec.compute)) {
    return sentence(to_string(spec.architecture), " has no wgmma for ", name(spec.compute),
                    "; sm_90a has it for f16, bf16 and tf32.");
  }
  return {};
}

Reason check_shared_memory(const KernelSpec& spec) {
  const int needed = shared_bytes(spec);
  const int block_limit = spec.architecture.shared_bytes_per_block();
  if (needed > block_limit) {
    return sentence("the block needs ", needed, " bytes of shared memory and a block of ",
                    to_string(spec.architecture), " may use ", block_limit, ".");
  }
  const int together = spec.min_blocks * resident_shared_bytes(spec);
  const int multiprocessor_limit = spec.architecture.shared_bytes_per_multiprocessor();
  if (together > multiprocessor_limit) {
    return sentence(spec.min_blocks, " blocks occupy ", together,
                    " bytes of shared memory and a multiprocessor of ", to_string(spec.architecture), " has ",
                    multiprocessor_limit, ".");
  }
  return {};
}

int accumulators(const KernelSpec& spec) {
  if (spec.kind == KernelKind::resident_grad_weight) return resident_sum_blocks(spec) * spec.column_tile / 2;
  const int columns = spec.kind == KernelKind::grad_weight ? gradient_columns(spec) : spec.column_tile;
  return spec.row_tile * columns / block_threads(spec);
}

Reason check_registers(const KernelSpec& spec) {
  const int needed = estimated_registers(spec);
  const int available = available_registers(spec, spec.min_blocks);
  if (needed > available) {
    return sentence("a thread needs about ", needed, " registers (", accumulators(spec),
                    " of them accumulators) and has ", available, " with ", spec.min_blocks, " blocks of ",
                    block_threads(spec), " threads a multiprocessor: it would spill.");
  }
  return {};
}

}  // namespace

std::optional<std::string> rejection(const KernelSpec& spec) {
  for (const auto check : {check_problem, check_vectors, check_epilogue, check_block}) {
    if (Reason reason = check(spec)) return reason;
  }
  if (Reason reason = check_weight_major(spec)) return reason;
  if (!is_tiled(spec.kind)) return {};
  if (Reason reason = check_cluster(spec)) return reason;
  const KernelSpec block = block_of(spec);
  const auto check_kind = spec.kind == KernelKind::resident_gemm          ? check_resident_gemm
                          : spec.kind == KernelKind::resident_grad_weight ? check_resident_gradient
                          : spec.kind == KernelKind::grad_weight          ? check_gradient_tile
                                                                          : check_tile;
  for (const auto check :
       {check_capability, check_output, check_kind, check_stages, check_shared_memory, check_registers}) {
    if (Reason reason = check(block)) return reason;
  }
  return {};
}

}  // namespace flexgemm::codegen
