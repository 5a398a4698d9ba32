// The body of a kernels_*.cpp file, compiled once an instruction set inside a namespace of its own: no
// include guard. The including file defines, after all of its includes:
//   FLEXGEMM_LANES    floats in a vector register
//   FLEXGEMM_VECTORS  registers across a panel: panel_width = lanes * vectors
//   FLEXGEMM_ROWS     rows that one pass of the inner loop computes
//   FLEXGEMM_F16C     if the x86 half-precision conversions are available

// NOLINTBEGIN(misc-definitions-in-headers)
using Vector __attribute__((vector_size(FLEXGEMM_LANES * sizeof(float)))) = float;
using UnalignedVector __attribute__((vector_size(FLEXGEMM_LANES * sizeof(float)), aligned(4), may_alias)) =
    float;

#define FLEXGEMM_UNROLL _Pragma("GCC unroll 16")

constexpr int panel_width = FLEXGEMM_LANES * FLEXGEMM_VECTORS;

/// Rows a multiple of FLEXGEMM_ROWS are computed by the full kernel, the rest by the one that fits.
template <int Rows>
void gather_gemm_rows(const float* const* rows, const std::int32_t* slots, std::int64_t k, const float* panel,
                      float* tile, std::int64_t tile_stride) {
  Vector sums[Rows][FLEXGEMM_VECTORS] = {};
  const float* row[Rows];
  FLEXGEMM_UNROLL
  for (int i = 0; i < Rows; ++i) row[i] = rows[i];
  for (std::int64_t j = 0; j < k; ++j) {
    Vector weights[FLEXGEMM_VECTORS];
    FLEXGEMM_UNROLL
    for (int c = 0; c < FLEXGEMM_VECTORS; ++c)
      weights[c] = *reinterpret_cast<const UnalignedVector*>(panel + j * panel_width + c * FLEXGEMM_LANES);
    FLEXGEMM_UNROLL
    for (int i = 0; i < Rows; ++i) {
      FLEXGEMM_UNROLL
      for (int c = 0; c < FLEXGEMM_VECTORS; ++c) sums[i][c] += weights[c] * row[i][j];
    }
  }
  FLEXGEMM_UNROLL
  for (int i = 0; i < Rows; ++i) {
    UnalignedVector* target = reinterpret_cast<UnalignedVector*>(tile + slots[i] * tile_stride);
    FLEXGEMM_UNROLL
    for (int c = 0; c < FLEXGEMM_VECTORS; ++c) target[c] += sums[i][c];
  }
}

template <int Rows>
void gather_gemm_rest(const float* const* rows, const std::int32_t* slots, std::int64_t count, std::int64_t k,
                      const float* panel, float* tile, std::int64_t tile_stride) {
  if constexpr (Rows > 0) {
    if (count == Rows) {
      gather_gemm_rows<Rows>(rows, slots, k, panel, tile, tile_stride);
    } else {
      gather_gemm_rest<Rows - 1>(rows, slots, count, k, panel, tile, tile_stride);
    }
  }
}

void gather_gemm(const float* const* rows, const std::int32_t* slots, std::int64_t count, std::int64_t k,
                 const float* panel, float* tile, std::int64_t tile_stride) {
  std::int64_t i = 0;
  for (; i + FLEXGEMM_ROWS <= count; i += FLEXGEMM_ROWS)
    gather_gemm_rows<FLEXGEMM_ROWS>(rows + i, slots + i, k, panel, tile, tile_stride);
  gather_gemm_rest<FLEXGEMM_ROWS - 1>(rows + i, slots + i, count - i, k, panel, tile, tile_stride);
}

template <int Width>
void outer_products_columns(const float* const* rows, std::int64_t first, std::int64_t count,
                            const float* panel, float* sums_out, std::int64_t stride) {
  Vector sums[Width][FLEXGEMM_VECTORS] = {};
  for (std::int64_t p = 0; p < count; ++p) {
    const float* row = rows[p] + first;
    Vector values[FLEXGEMM_VECTORS];
    FLEXGEMM_UNROLL
    for (int c = 0; c < FLEXGEMM_VECTORS; ++c)
      values[c] = *reinterpret_cast<const UnalignedVector*>(panel + p * panel_width + c * FLEXGEMM_LANES);
    FLEXGEMM_UNROLL
    for (int i = 0; i < Width; ++i) {
      FLEXGEMM_UNROLL
      for (int c = 0; c < FLEXGEMM_VECTORS; ++c) sums[i][c] += values[c] * row[i];
    }
  }
  FLEXGEMM_UNROLL
  for (int i = 0; i < Width; ++i) {
    UnalignedVector* target = reinterpret_cast<UnalignedVector*>(sums_out + (first + i) * stride);
    FLEXGEMM_UNROLL
    for (int c = 0; c < FLEXGEMM_VECTORS; ++c) target[c] += sums[i][c];
  }
}

template <int Width>
void outer_products_rest(const float* const* rows, std::int64_t first, std::int64_t width, std::int64_t count,
                         const float* panel, float* sums, std::int64_t stride) {
  if constexpr (Width > 0) {
    if (width == Width) {
      outer_products_columns<Width>(rows, first, count, panel, sums, stride);
    } else {
      outer_products_rest<Width - 1>(rows, first, width, count, panel, sums, stride);
    }
  }
}

void outer_products(const float* const* rows, std::int64_t width, std::int64_t count, const float* panel,
                    float* sums, std::int64_t stride) {
  std::int64_t first = 0;
  for (; first + FLEXGEMM_ROWS <= width; first += FLEXGEMM_ROWS)
    outer_products_columns<FLEXGEMM_ROWS>(rows, first, count, panel, sums, stride);
  outer_products_rest<FLEXGEMM_ROWS - 1>(rows, first, width - first, count, panel, sums, stride);
}

void bf16_to_float(const std::uint16_t* source, float* target, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i)
    target[i] = std::bit_cast<float>(static_cast<std::uint32_t>(source[i]) << 16);
}

void float_to_bf16(const float* source, std::uint16_t* target, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(source[i]);
    const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    target[i] = static_cast<std::uint16_t>(is_nan ? (bits >> 16) | 0x40u : rounded);
  }
}

#if defined(FLEXGEMM_F16C)
void f16_to_float(const std::uint16_t* source, float* target, std::int64_t count) {
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + i));
    _mm256_storeu_ps(target + i, _mm256_cvtph_ps(half));
  }
  for (; i < count; ++i) target[i] = to_float(flexgemm::f16{source[i]});
}

void float_to_f16(const float* source, std::uint16_t* target, std::int64_t count) {
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(source + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(target + i), half);
  }
  for (; i < count; ++i) target[i] = to_f16(source[i]).bits;
}
#else
void f16_to_float(const std::uint16_t* source, float* target, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) target[i] = to_float(flexgemm::f16{source[i]});
}

void float_to_f16(const float* source, std::uint16_t* target, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) target[i] = to_f16(source[i]).bits;
}
#endif

constexpr Kernels kernels_named(const char* kernels_name) {
  return {.name = kernels_name,
          .panel_width = panel_width,
          .gather_gemm = gather_gemm,
          .outer_products = outer_products,
          .f16_to_float = f16_to_float,
          .bf16_to_float = bf16_to_float,
          .float_to_f16 = float_to_f16,
          .float_to_bf16 = float_to_bf16};
}
// NOLINTEND(misc-definitions-in-headers)
