#pragma once

#include "kernel_spec.hpp"

namespace flexgemm::codegen {

inline constexpr int registers_per_multiprocessor = 65536;
inline constexpr int registers_per_thread = 255;

/// Threads a block.
int block_threads(const KernelSpec& spec) noexcept;

/// Whether the kernel copies to shared memory with cp.async, or through registers.
bool uses_async_copy(const KernelSpec& spec) noexcept;

/// Dynamic shared memory a block, as templates/kernels/implicit_gemm.cuh lays it out; 0 for the other kinds.
int shared_bytes(const KernelSpec& spec) noexcept;

/// Shared memory of a multiprocessor that one resident block occupies: shared_bytes and the system's share.
int resident_shared_bytes(const KernelSpec& spec) noexcept;

/// Registers a thread of implicit_gemm needs without spilling: accumulators, operand fragments, staged
/// vectors and a base for addresses. Fitted, from above, to ptxas' reports over the candidate lists.
int estimated_registers(const KernelSpec& spec) noexcept;

/// Registers a thread may have when `blocks` blocks share a multiprocessor.
int available_registers(const KernelSpec& spec, int blocks) noexcept;

/// Most blocks that threads, shared memory and the estimated registers let one multiprocessor hold; at
/// least 1.
int resident_blocks(const KernelSpec& spec) noexcept;

}  // namespace flexgemm::codegen
