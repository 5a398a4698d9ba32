#pragma once

#include <optional>
#include <string>

#include "kernel_spec.hpp"

namespace flexgemm::codegen {

/// Name of the one extern "C" kernel in every emitted source.
inline constexpr const char* entry_name = "flexgemm_kernel";

/// Why the spec cannot be built or launched, as a full sentence with the offending values; nothing for a
/// valid one.
std::optional<std::string> rejection(const KernelSpec& spec);

/// Self-contained CUDA source of the kernel: every template it needs, expanded in place, then one struct that
/// fixes the constants and one entry point. It includes no file and compiles with NVRTC and with nvcc as it
/// is. Throws std::invalid_argument with `rejection(spec)` for an invalid spec.
std::string emit(const KernelSpec& spec);

/// 64-bit FNV-1a hash of emit(spec) and the architecture as 16 hex digits: the identity of a compiled kernel.
std::string source_hash(const KernelSpec& spec);

/// 64-bit FNV-1a hash of all templates as 16 hex digits: what a tuning result depends on.
const std::string& template_hash();

/// How to launch a spec.
struct LaunchShape {
  int threads = 0;                ///< threads a block
  int shared_bytes = 0;           ///< dynamic shared memory a block
  std::int64_t column_tiles = 0;  ///< ceil(Co / column_tile) for implicit_gemm
  std::int64_t tiles = 0;         ///< grad_weight: row tiles * column tiles
  int groups = 0;                 ///< grad_weight: groups of offsets
};
LaunchShape launch_shape(const KernelSpec& spec);

}  // namespace flexgemm::codegen
