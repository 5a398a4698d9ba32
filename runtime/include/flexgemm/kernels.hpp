#pragma once

// Kernels without a GPU: which ones a layer would run on a GPU elsewhere, their source, and their
// compilation. What a build farm needs to make kernel packs (flexgemm/cache.hpp), and what flexgemm-tune emit
// and compile are made of.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flexgemm/cache.hpp>
#include <flexgemm/conv3d.hpp>
#include <flexgemm/dtype.hpp>
#include <flexgemm/export.hpp>

namespace flexgemm {

/// A pass of a layer, described without data.
struct PassDescription {
  Op op = Op::forward;
  Conv3dOptions conv{};
  std::int64_t rows = 0;        ///< N >= 1
  double pairs_per_row = 0;     ///< neighbors, the voxel itself included; 0: as many as on a surface
  std::optional<DType> bias{};  ///< type of forward's bias; none: there is none
  DType gradient = DType::f32;  ///< type of grad_weight's result: f32 or the storage type
  int alignment = 16;           ///< power of two from the type's size to 16 that divides every pointer
};

/// A GPU, described without one.
struct TargetGpu {
  /// Such as "sm_80". From sm_90 on the suffix a, which the library compiles for, may be left out.
  std::string architecture;
  int multiprocessors = 0;  ///< 0: as many as the best known GPU of the architecture has
};

/// The same with what was left out put in. Throws Error{invalid_argument} for an architecture that kernels
/// cannot be generated for.
FLEXGEMM_API TargetGpu complete(const TargetGpu& gpu);

/// What a pass runs.
struct PassKernels {
  KernelChoice choice;
  std::vector<std::string> kernels;  ///< specs of all its kernels, that of the product first
};

/// What the pass would run on such a GPU when nothing was tuned for it. Throws Error{invalid_argument},
/// Error{unsupported} where no kernel serves it. Thread-safe, as is all below.
FLEXGEMM_API PassKernels pass_kernels(const PassDescription& pass, const TargetGpu& gpu);

/// Specs of all kernels that a context on such a GPU may ask for when it runs these passes untuned: for each
/// also for every count of rows from half to twice and pairs per row within 1.25x, since frames differ;
/// forward with no bias, a float bias and one of the storage type; grad_weight in float and in the storage
/// type. Ordered by name, each once. Throws as pass_kernels.
FLEXGEMM_API std::vector<std::string> kernels_for_pack(std::span<const PassDescription> passes,
                                                       const TargetGpu& gpu);

/// CUDA source of a kernel from the text of its spec. It stands alone: nvcc and NVRTC compile it as it is.
/// Throws Error{invalid_argument} with what is wrong with the text or why such a kernel cannot be.
FLEXGEMM_API std::string kernel_source(std::string_view spec);
/// Identity of the compiled kernel, 16 hex digits. Throws as kernel_source.
FLEXGEMM_API std::string kernel_hash(std::string_view spec);

/// Hash of the templates that this version generates kernels from, 16 hex digits: TuningKey::template_hash of
/// results that it uses.
FLEXGEMM_API std::string template_hash();

/// The kernels of a pack that this version of the library would use. Checks every byte of the file. Throws
/// Error{io} as verify_pack.
FLEXGEMM_API std::vector<KernelImage> read_pack_kernels(const std::filesystem::path& pack);

/// How kernels are compiled.
struct CompileOptions {
  int jobs = 0;  ///< worker processes; 0: one a processor that the process may use, at most 16
  /// Receives each kernel as it is finished, in any order, with its position in `specs`. What it throws ends
  /// the compilation and is thrown.
  std::function<void(std::size_t position, KernelImage kernel)> finished{};
  /// Receives the reason, a sentence, for each that could not be compiled.
  std::function<void(std::size_t position, const std::string& problem)> failed{};
  std::function<bool()> cancelled{};  ///< asked several times a second: true ends the compilation
};

/// Compiles kernels with NVRTC in worker processes; needs no GPU. Throws Error{compile} if there is no NVRTC
/// or the build has no CUDA backend, Error{invalid_argument} for a text that is no spec.
FLEXGEMM_API void compile_kernels(std::span<const std::string> specs, const CompileOptions& options);

}  // namespace flexgemm
