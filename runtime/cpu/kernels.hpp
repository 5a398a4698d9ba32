#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace flexgemm::detail {

/// The inner loops, written once (kernels_inline.hpp) and compiled for several instruction sets. Every value
/// of an output is summed in the same order whatever the number of rows in a call.
struct Kernels {
  const char* name;  ///< "avx512", "avx2" or "portable"
  int panel_width;   ///< columns of a weight panel

  /// tile[slots[i] * tile_stride + c] += sum over j < k of rows[i][j] * panel[j * panel_width + c], for
  /// i < count and c < panel_width. A slot may occur more than once. `tile` rows hold panel_width floats.
  void (*gather_gemm)(const float* const* rows, const std::int32_t* slots, std::int64_t count, std::int64_t k,
                      const float* panel, float* tile, std::int64_t tile_stride);

  /// sums[i * stride + c] += sum over p < count of rows[p][i] * panel[p * panel_width + c], for i < width and
  /// c < panel_width.
  void (*outer_products)(const float* const* rows, std::int64_t width, std::int64_t count, const float* panel,
                         float* sums, std::int64_t stride);

  /// Conversions of `count` values: exact to float, to nearest even from float.
  void (*f16_to_float)(const std::uint16_t* source, float* target, std::int64_t count);
  void (*bf16_to_float)(const std::uint16_t* source, float* target, std::int64_t count);
  void (*float_to_f16)(const float* source, std::uint16_t* target, std::int64_t count);
  void (*float_to_bf16)(const float* source, std::uint16_t* target, std::int64_t count);
};

extern const Kernels portable_kernels;
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define FLEXGEMM_HAS_X86_KERNELS 1
extern const Kernels avx2_kernels;
extern const Kernels avx512_kernels;
#endif

/// Those that this processor can run, fastest first; never empty.
std::vector<const Kernels*> supported_kernels();

/// The fastest, or the one that the environment variable FLEXGEMM_CPU_ISA names (portable, avx2, avx512).
/// Throws Error{unsupported} if that one does not exist or cannot run here.
const Kernels& select_kernels();

}  // namespace flexgemm::detail
