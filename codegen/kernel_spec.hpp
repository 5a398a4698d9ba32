#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace flexgemm::codegen {

/// Element types as kernels see them. tf32 is a compute type; it is stored as f32.
enum class ElementType : std::uint8_t { f32, tf32, f16, bf16 };

/// Device programs that codegen can emit: one file each under templates/kernels/.
enum class KernelKind : std::uint8_t {
  implicit_gemm,  ///< gathered rows times weights; also the dense GEMM of explicit_gemm, as V = 1 with a row
                  ///< identity
  persistent_gemm,  ///< the same by a persistent grid of specialized warpgroups (wgmma): for wide layers
  resident_gemm,    ///< the same for narrow layers, from inputs that a block's rows share in shared memory
  gather_rows,      ///< explicit_gemm's gather: [rows, V * Ci] from feats and the neighbor map
  reduce_partials,  ///< sums the float partials of a split reduction in split order, adds the bias, converts
  grad_weight,      ///< weight gradients: over the pairs of each offset, rows of grad_out times rows of feats
  resident_grad_weight,  ///< the same for narrow layers, from inputs that a block's rows share in shared
                         ///< memory
  reduce_gradient,    ///< sums the float partials of a split grad_weight in the order of its parts, converts
  transpose_weights,  ///< [Co, V, Ci] to [Ci, V, Co] for grad_input, with the offsets mirrored or not
};

/// How products are formed.
enum class MmaPath : std::uint8_t { ffma, mma_sync, wgmma };

/// Type of the bias operand.
enum class BiasType : std::uint8_t { none, f32, storage };

/// Where the accumulators go.
enum class OutputType : std::uint8_t {
  storage,  ///< finished rows in the storage type
  partial,  ///< float sums: [split, row, channel] for reduce_partials, whose own output may be float too
  chained,  ///< finished rows; groups of offsets add up in a float workspace, in their order
            ///< (persistent_gemm)
};

/// How the weights lie that a kernel reads, N being its output channels and K its input channels.
enum class WeightMajor : std::uint8_t {
  k,   ///< [N, V, K]
  mn,  ///< [K, V, N], for persistent_gemm in 16 bits: the weights of a layer, as its grad_input takes them
};

/// A compute architecture such as sm_80 or sm_90a.
struct Architecture {
  int major = 8;
  int minor = 0;
  char suffix = '\0';  ///< 'a' for the architecture-specific instruction set, '\0' for none

  int number() const noexcept { return major * 10 + minor; }
  bool has_cp_async() const noexcept { return number() >= 80; }
  bool has_mma_sync(ElementType compute) const noexcept;
  bool has_wgmma(ElementType compute) const noexcept;
  /// Dynamic shared memory that one block may use, after opting in, in bytes (CUDA C++ Programming Guide,
  /// Technical Specifications per Compute Capability).
  int shared_bytes_per_block() const noexcept;
  int shared_bytes_per_multiprocessor() const noexcept;
  int threads_per_multiprocessor() const noexcept;

  friend auto operator<=>(const Architecture&, const Architecture&) noexcept = default;
};

/// "sm_90a". `parse_architecture` throws std::invalid_argument for text that names none that codegen knows.
std::string to_string(const Architecture& architecture);
Architecture parse_architecture(std::string_view text);

/// A kernel, chosen down to the last constant. Value type; equal specs emit the same source.
/// Dimensions of implicit_gemm: M = output rows, N = Co, K = V * Ci walked as (valid offset of the tile,
/// channel). Of grad_weight: M = Co, N = the input channels of `offsets` kernel offsets side by side, K =
/// pairs. Of resident_grad_weight: M = the input channels of `offsets` kernel offsets one after the other, in
/// blocks of 64 that the warpgroups deal among them, N = Co, K = the slots of a block of the resident layout,
/// 16 a step.
struct KernelSpec {
  KernelKind kind = KernelKind::implicit_gemm;
  ElementType compute = ElementType::f32;
  MmaPath mma = MmaPath::ffma;
  int in_channels = 1;   ///< Ci (for the dense GEMM of explicit_gemm: V * Ci)
  int out_channels = 1;  ///< Co
  int volume = 1;        ///< V (for the dense GEMM: 1)
  int offsets = 1;  ///< grad_weight, resident_grad_weight and reduce_gradient: kernel offsets a block; else 1

  int row_tile = 64;     ///< output rows a cluster of blocks; grad_weight: output channels;
                         ///< resident kinds: slots of a block of the layout
  int column_tile = 64;  ///< output channels a block; grad_weight: input channels of each of its offsets;
                         ///< resident_grad_weight: all output channels, up to a width of wgmma
  int k_tile = 32;  ///< reduction elements a pipeline stage; grad_weight: pairs; resident_grad_weight: 16
  int stages = 2;   ///< pipeline stages in shared memory; resident_grad_weight: of a layout's block, 1 or 2
  int warps_m = 2;  ///< warps along the rows; row_tile / warps_m is a multiple of 16
  int warps_n = 2;  ///< warps along the channels; column_tile / warps_n is a multiple of 16 (ffma: 8)
  int cluster = 1;  ///< blocks that share a row tile and each tile of weights: 1, or 2 (persistent_gemm)
  int min_blocks = 1;  ///< blocks a multiprocessor that __launch_bounds__ asks registers for
  WeightMajor weight_major = WeightMajor::k;

  int feats_vector_bytes = 4;   ///< bytes a load of feats: 16, 8, 4, or 2; divides Ci * size and the pointer
  int weight_vector_bytes = 4;  ///< the same for weights, MN-major: Co * size; grad_weight: for grad_out,
                                ///< Co * size
  int output_vector_bytes = 4;  ///< bytes a store; divides a row of the output and the pointer
  BiasType bias = BiasType::none;
  /// What becomes of a finished sum: canonical text of an Expression (expression.hpp), which adds the bias
  /// itself. Empty: acc + bias alone, at no cost. Always empty for partial sums and gather_rows.
  std::string epilogue{};
  OutputType output = OutputType::storage;
  Architecture architecture;

  friend auto operator<=>(const KernelSpec&, const KernelSpec&) noexcept = default;
};

/// Whether a kind takes `offsets` kernel offsets a block.
bool has_offsets(KernelKind kind) noexcept;

const char* name(ElementType type) noexcept;
const char* name(KernelKind kind) noexcept;
const char* name(MmaPath mma) noexcept;

/// Bytes of an element in memory: 4 for f32 and tf32, 2 for f16 and bf16.
int storage_bytes(ElementType type) noexcept;

/// Stable text such as
/// "implicit_gemm.f16.mma_sync.ci64.co64.v27.t128x64x32.s4.w4x2.b2.vec16.16.16.bias0.storage.sm_90a".
/// with ".ep_" and the epilogue after the bias if there is one, such as ".ep_relu(acc+bias)"; of its
/// characters all but letters, digits and _ ( ) , + - are written as ~ and two hexadecimal digits.
/// `parse_spec` is its inverse and throws std::invalid_argument with the offending part.
std::string to_string(const KernelSpec& spec);
KernelSpec parse_spec(std::string_view text);

/// 64-bit FNV-1a hash of to_string(spec) as 16 hex digits.
std::string spec_hash(const KernelSpec& spec);

}  // namespace flexgemm::codegen
