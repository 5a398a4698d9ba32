#pragma once

#include <span>
#include <vector>

#include "../candidates.hpp"

namespace flexgemm::codegen {

/// Limits of one compute architecture (CUDA C++ Programming Guide, Technical Specifications per Compute
/// Capability). Every architecture here has 65,536 registers a multiprocessor and 255 a thread.
struct ArchitectureLimits {
  int number = 0;                         ///< Architecture::number()
  int shared_kib_per_block = 0;           ///< after opting in
  int shared_kib_per_multiprocessor = 0;  ///< of all resident blocks
  int shared_kib_reserved_per_block = 0;  ///< taken by the system from the multiprocessor's, for each block
  int threads_per_multiprocessor = 0;
};

/// Sizes of one tiled kernel, before types, vector widths and a problem are filled in.
struct TileShape {
  int row_tile = 0;
  int column_tile = 0;
  int warps_m = 1;
  int warps_n = 1;
  int min_blocks = 1;  ///< wished for; lowered to what shared memory and registers allow
  int k_bytes = 64;    ///< bytes of a row in one pipeline stage: 64 or 128
  int stages = 2;
  MmaPath mma = MmaPath::ffma;
  int offsets = 1;  ///< grad_weight
  KernelKind kind = KernelKind::implicit_gemm;
  int cluster = 1;  ///< blocks that share the row tile
};

/// How many pairs a grad_weight kernel of an architecture holds in flight.
struct GradientPipeline {
  int pairs;   ///< a stage: 32 or 64
  int stages;  ///< lowered to what shared memory allows
};

/// Architectures that want the same kernels. One file of this folder each: it defines
///   const ArchitectureFamily& architecture_family_NAME();   for the file NAME.cpp
/// and the build enters it in the registry by its file name.
struct ArchitectureFamily {
  std::span<const ArchitectureLimits> members;
  /// The shapes worth trying, best first. May hold shapes that the problem or the architecture rejects: they
  /// are dropped later.
  std::vector<TileShape> (*tile_shapes)(const GemmProblem& problem);
  GradientPipeline gradient_pipeline{32, 4};
};

/// All families, in the order of their file names.
std::span<const ArchitectureFamily* const> architecture_families();

/// The family and the limits that serve an architecture: its own entry; for an unlisted minor version (such
/// as sm_88) the family of the nearest listed number below it, with the least of that major version's limits;
/// for an unlisted newer major version those of the newest listed one.
const ArchitectureFamily& family_of(const Architecture& architecture);
ArchitectureLimits limits_of(const Architecture& architecture);

/// Whether a listed family has this major version.
bool is_known_major(int major);

}  // namespace flexgemm::codegen
