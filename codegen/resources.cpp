#include "resources.hpp"

#include <algorithm>

#include "architectures/family.hpp"
#include "emit.hpp"
#include "text.hpp"

namespace flexgemm::codegen {

namespace {

// templates/load/pair_tile.cuh
int pair_line_bytes(const KernelSpec& spec, int channels) noexcept {
  const int bytes = channels * storage_bytes(spec.compute);
  if (spec.mma == MmaPath::wgmma) {
    return storage_bytes(spec.compute) == 2 ? static_cast<int>(round_up(bytes, 128)) : bytes;
  }
  if (spec.mma == MmaPath::ffma) return bytes;
  return bytes + (storage_bytes(spec.compute) == 2 ? 16 : 32);
}

int pipeline_bytes(const KernelSpec& spec) noexcept {
  if (spec.kind == KernelKind::grad_weight) {
    return spec.stages * spec.k_tile *
           (pair_line_bytes(spec, spec.row_tile) + pair_line_bytes(spec, gradient_columns(spec)));
  }
  return spec.stages * (spec.row_tile / spec.cluster + spec.column_tile) * spec.k_tile *
         storage_bytes(spec.compute);
}

// templates/load/step_ring.cuh, pair_ring.cuh
int index_ring_bytes(const KernelSpec& spec) noexcept {
  if (spec.kind == KernelKind::grad_weight) {
    return (2 * (spec.stages - 1) + 1) * (1 + spec.offsets) * spec.k_tile * 4;
  }
  const int touched = static_cast<int>(divide_up(2 * (spec.stages - 1) * spec.k_tile, spec.in_channels)) + 2;
  const int slots = std::min(spec.volume, touched);
  return slots * spec.row_tile * 4 + static_cast<int>(round_up(slots * 4, 16));
}

/// Columns of the accumulators of a block.
int block_columns(const KernelSpec& spec) noexcept {
  return spec.kind == KernelKind::grad_weight ? gradient_columns(spec) : spec.column_tile;
}

// templates/epilogue/store_rows.cuh, store_gradient.cuh
int epilogue_bytes(const KernelSpec& spec) noexcept {
  const int warp_columns = block_columns(spec) / spec.warps_n;
  return spec.warps_m * spec.warps_n * 16 * (warp_columns + 8) * 4;
}

// Vectors that a thread holds between reading and writing one operand's tile, in registers.
int staged_registers(const KernelSpec& spec, int rows, int vector_bytes) noexcept {
  const int columns = spec.k_tile * storage_bytes(spec.compute) / vector_bytes;
  const int rows_at_once = std::max(1, block_threads(spec) / columns);
  return static_cast<int>(divide_up(rows, rows_at_once)) * std::max(1, vector_bytes / 4);
}

int gradient_registers(const KernelSpec& spec) noexcept {
  const int warp_rows = spec.row_tile / spec.warps_m;
  const int warp_columns = gradient_columns(spec) / spec.warps_n;
  const int accumulators = warp_rows * warp_columns / 32;
  int registers = 0;
  switch (spec.mma) {
    case MmaPath::ffma:  // sums, totals and the operands of one pair
      registers = 2 * accumulators + warp_rows / 4 + warp_columns / 8 + 56;
      break;
    case MmaPath::mma_sync:
      registers = accumulators + warp_rows / 4 + warp_columns / 4 + 56;
      break;
    case MmaPath::wgmma:
      registers = accumulators + 64;
      if (storage_bytes(spec.compute) == 4) {  // a tile on its way through registers
        registers += (spec.row_tile + gradient_columns(spec)) * spec.k_tile / block_threads(spec);
      }
      break;
  }
  return registers;
}

// templates/kernels/persistent_gemm.cuh: what the producer warpgroup leaves to each thread of the others.
int persistent_consumer_registers(const KernelSpec& spec) noexcept {
  const int producer_registers = spec.row_tile / spec.cluster > 128 ? 96 : 72;
  const int consumers = spec.warps_m * spec.warps_n / 4;
  const int at_launch = registers_per_multiprocessor / block_threads(spec) / 8 * 8;
  const int share = at_launch * (consumers + 1) - producer_registers;
  return std::clamp(share / consumers / 8 * 8, 0, 240);
}

/// Sums of a block of 64 rows, where its lane's neighbor lies and what of M it is; for the least base that
/// ptxas comes out with.
int resident_gradient_registers(const KernelSpec& spec) noexcept {
  const int base = spec.stages == 1 ? 64 : spec.in_channels > 64 ? 60 : spec.in_channels < 64 ? 58 : 55;
  const int beside = spec.in_channels > 64 ? 6 : 5;
  return resident_sum_blocks(spec) * (spec.column_tile / 2 + beside) + base;
}

/// templates/kernels/resident_grad_weight.cuh: all but the rows of feats and the list of them.
int resident_fixed_stage_bytes(const KernelSpec& spec) noexcept {
  const int grad_out = static_cast<int>(divide_up(spec.column_tile, 64)) * spec.row_tile * 128;
  return grad_out + spec.offsets * spec.row_tile * 2 + spec.row_tile / 4;
}

// templates/kernels/resident_gemm.cuh: weight tiles, inputs, locals
int resident_gemm_bytes(const KernelSpec& spec, int capacity, int pitch) noexcept {
  const int operands = spec.stages * spec.column_tile * 128 + (1 + capacity) * pitch;
  return static_cast<int>(
      round_up(std::max(operands + spec.volume * spec.row_tile * 2, epilogue_bytes(spec)), 128));
}

int resident_bytes(const KernelSpec& spec, int capacity) noexcept {
  const int pitch = std::max(128, spec.in_channels * storage_bytes(spec.compute));
  if (spec.kind == KernelKind::resident_gemm) return resident_gemm_bytes(spec, capacity, pitch);
  const int stage =
      static_cast<int>(round_up(resident_fixed_stage_bytes(spec) + (1 + capacity) * pitch, 1024));
  return static_cast<int>(round_up(spec.stages * stage + 2 * (spec.row_tile + capacity) * 4, 128));
}

/// Sums, one or two sets of four fragments, and addresses.
int resident_gemm_registers(const KernelSpec& spec) noexcept {
  const int row_blocks = spec.row_tile / 16 / std::max(spec.warps_m, 1);
  return row_blocks * spec.column_tile / 2 + (row_blocks % 2 == 0 ? 32 : 16) + 32;
}

// templates/kernels/persistent_gemm.cuh: stages, then for each two barriers, then the item ring.
int persistent_bytes(const KernelSpec& spec) noexcept {
  const int item_ring = spec.cluster == 1 ? 4 * (16 + 32) : 0;
  return pipeline_bytes(spec) + spec.stages * 16 + item_ring;
}

}  // namespace

KernelSpec block_of(const KernelSpec& spec) {
  KernelSpec block = spec;
  block.row_tile /= spec.cluster;
  block.cluster = 1;
  return block;
}

bool is_resident(KernelKind kind) noexcept {
  return kind == KernelKind::resident_gemm || kind == KernelKind::resident_grad_weight;
}

bool is_tiled(KernelKind kind) noexcept {
  return kind == KernelKind::implicit_gemm || kind == KernelKind::persistent_gemm ||
         kind == KernelKind::grad_weight || is_resident(kind);
}

int resident_capacity(const KernelSpec& spec) noexcept {
  constexpr int unit = 64;
  constexpr int most = 8190 / unit * unit;  // positions have 13 bits
  const ArchitectureLimits limits = limits_of(spec.architecture);
  const int share = (limits.shared_kib_per_multiprocessor / std::max(spec.min_blocks, 1) -
                     limits.shared_kib_reserved_per_block) *
                    1024;
  const int available = std::min(share, limits.shared_kib_per_block * 1024);
  int capacity = 0;
  while (capacity < most && resident_bytes(spec, capacity + unit) <= available) capacity += unit;
  return capacity;
}

int resident_sum_blocks(const KernelSpec& spec) noexcept {
  return static_cast<int>(
      divide_up(divide_up(std::int64_t{spec.offsets} * spec.in_channels, 64), std::max(spec.warps_m / 4, 1)));
}

int gradient_columns(const KernelSpec& spec) noexcept {
  const int needed = static_cast<int>(divide_up(spec.offsets * spec.column_tile, spec.warps_n));
  if (spec.mma == MmaPath::wgmma) {
    const int unit = storage_bytes(spec.compute) == 2 ? 1 : 32;  // templates/load/transposed_pairs.cuh
    for (const int width : wgmma_widths) {
      if (width >= needed && width % unit == 0) return width * spec.warps_n;
    }
  }
  return static_cast<int>(round_up(needed, spec.mma == MmaPath::ffma ? 8 : 16)) * spec.warps_n;
}

int offset_groups(const KernelSpec& spec) noexcept {
  return static_cast<int>(divide_up(spec.volume, spec.offsets));
}

int block_threads(const KernelSpec& spec) noexcept {
  const int producers = spec.kind == KernelKind::persistent_gemm ? 128 : 0;
  return 32 * spec.warps_m * spec.warps_n + producers;
}

bool is_gathered_gemm(const KernelSpec& spec) noexcept {
  if (spec.kind == KernelKind::resident_gemm) return true;
  return spec.kind == KernelKind::implicit_gemm || spec.kind == KernelKind::persistent_gemm;
}

bool uses_async_copy(const KernelSpec& spec) noexcept {
  return spec.architecture.has_cp_async() && spec.feats_vector_bytes >= 4 && spec.weight_vector_bytes >= 4;
}

int shared_bytes(const KernelSpec& spec) noexcept {
  if (!is_tiled(spec.kind)) return 0;
  if (is_resident(spec.kind)) return resident_bytes(spec, resident_capacity(spec));
  if (spec.kind == KernelKind::persistent_gemm)
    return static_cast<int>(round_up(persistent_bytes(spec), 128));
  const int reused = std::max(pipeline_bytes(spec) + index_ring_bytes(spec), epilogue_bytes(spec));
  // templates/load/pair_ring.cuh: the rule
  const int kept =
      spec.kind == KernelKind::grad_weight ? static_cast<int>(round_up(reused, 16)) + 16 : reused;
  return static_cast<int>(round_up(kept, 128));
}

int resident_shared_bytes(const KernelSpec& spec) noexcept {
  return shared_bytes(spec) + limits_of(spec.architecture).shared_kib_reserved_per_block * 1024;
}

int estimated_registers(const KernelSpec& spec) noexcept {
  if (spec.kind == KernelKind::grad_weight) return gradient_registers(spec);
  if (spec.kind == KernelKind::resident_grad_weight) return resident_gradient_registers(spec);
  if (spec.kind == KernelKind::resident_gemm) return resident_gemm_registers(spec);
  const int warp_rows = spec.row_tile / spec.cluster / spec.warps_m;
  const int warp_columns = spec.column_tile / spec.warps_n;
  const int accumulators = warp_rows * warp_columns / 32;
  int registers = accumulators;
  switch (spec.mma) {
    case MmaPath::ffma:
      registers += 4 * (warp_rows / 4 + warp_columns / 8) + 56;
      break;
    case MmaPath::mma_sync:
      registers += warp_rows / 4 + warp_columns / 4 + 40;
      break;
    case MmaPath::wgmma:  // reads its operands from shared memory
      registers += 48;
      break;
  }
  if (!uses_async_copy(spec)) {
    registers += staged_registers(spec, spec.row_tile, spec.feats_vector_bytes) +
                 staged_registers(spec, spec.column_tile, spec.weight_vector_bytes);
  } else if (spec.feats_vector_bytes < 16 || spec.weight_vector_bytes < 16) {
    // More copies a thread, each with an address and a predicate; wgmma leaves the fewest registers for them.
    registers += spec.mma == MmaPath::wgmma ? 24 : 8;
  }
  return registers;
}

int available_registers(const KernelSpec& spec, int blocks) noexcept {
  constexpr int allocation_unit = 8;  // registers are given to a warp in units of 8 a thread
  if (spec.kind == KernelKind::persistent_gemm && block_threads(spec) > 256 && blocks == 1) {
    return persistent_consumer_registers(spec);
  }
  const int share = registers_per_multiprocessor / (blocks * block_threads(spec));
  return std::min(registers_per_thread, share / allocation_unit * allocation_unit);
}

int resident_blocks(const KernelSpec& spec) noexcept {
  int blocks = limits_of(spec.architecture).threads_per_multiprocessor / block_threads(spec);
  if (is_tiled(spec.kind)) {
    blocks =
        std::min(blocks, spec.architecture.shared_bytes_per_multiprocessor() / resident_shared_bytes(spec));
    while (blocks > 1 && available_registers(spec, blocks) < estimated_registers(spec)) --blocks;
  }
  return std::max(blocks, 1);
}

LaunchShape launch_shape(const KernelSpec& spec) {
  LaunchShape shape;
  shape.threads = block_threads(spec);
  shape.shared_bytes = shared_bytes(spec);
  if (is_gathered_gemm(spec)) shape.column_tiles = divide_up(spec.out_channels, spec.column_tile);
  if (spec.kind == KernelKind::grad_weight) {
    shape.groups = offset_groups(spec);
    shape.tiles = divide_up(spec.out_channels, spec.row_tile) * divide_up(spec.in_channels, spec.column_tile);
  }
  if (spec.kind == KernelKind::resident_grad_weight) {
    shape.groups = offset_groups(spec);
    shape.tiles = 1;
  }
  return shape;
}

}  // namespace flexgemm::codegen
