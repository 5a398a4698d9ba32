#pragma once

#include "kernel_spec.hpp"

namespace flexgemm::codegen {

inline constexpr int registers_per_multiprocessor = 65536;
inline constexpr int registers_per_thread = 255;
/// Columns of one wgmma that templates/ptx/wgmma.cuh has.
inline constexpr int wgmma_widths[] = {16, 32, 64, 96, 128, 192, 256};

/// The spec as one block of its cluster sees it: with its own rows, and no cluster.
KernelSpec block_of(const KernelSpec& spec);

/// Threads a block.
int block_threads(const KernelSpec& spec) noexcept;

/// Whether the kernel copies to shared memory with cp.async, or through registers.
bool uses_async_copy(const KernelSpec& spec) noexcept;

/// Dynamic shared memory a block, as the kernel's template lays it out; 0 for the kinds without.
int shared_bytes(const KernelSpec& spec) noexcept;

/// Whether the kind multiplies gathered rows by weights: implicit_gemm, persistent_gemm and
/// resident_gemm.
bool is_gathered_gemm(const KernelSpec& spec) noexcept;

/// Shared memory of a multiprocessor that one resident block occupies: shared_bytes and the system's share.
int resident_shared_bytes(const KernelSpec& spec) noexcept;

/// Columns of a grad_weight block: its offsets' input channels, up to whole fragments of its warps.
int gradient_columns(const KernelSpec& spec) noexcept;

/// Groups of offsets that the V offsets of a kernel with `offsets` a block are cut into.
int offset_groups(const KernelSpec& spec) noexcept;

/// Whether a kind reads the resident layout.
bool is_resident(KernelKind kind) noexcept;

/// Input rows that a block of a resident kernel can hold at once: the layout's capacity. A multiple of 64, as
/// many as shared memory has room for; less than row_tile if it has too little.
int resident_capacity(const KernelSpec& spec) noexcept;

/// Blocks of 64 rows of (offset, input channel) that a warpgroup of resident_grad_weight holds the sums of.
int resident_sum_blocks(const KernelSpec& spec) noexcept;

/// Whether a kind is tiled: implicit_gemm, persistent_gemm, grad_weight and the resident kinds.
bool is_tiled(KernelKind kind) noexcept;

/// Registers a thread of a tiled kernel (of persistent_gemm: of a consumer) needs without spilling:
/// accumulators, operand fragments, staged
/// vectors and a base for addresses. Fitted, from above, to ptxas' reports over the candidate lists.
int estimated_registers(const KernelSpec& spec) noexcept;

/// Registers a thread may have when `blocks` blocks share a multiprocessor.
int available_registers(const KernelSpec& spec, int blocks) noexcept;

/// Most blocks that threads, shared memory and the estimated registers let one multiprocessor hold; at
/// least 1.
int resident_blocks(const KernelSpec& spec) noexcept;

}  // namespace flexgemm::codegen
