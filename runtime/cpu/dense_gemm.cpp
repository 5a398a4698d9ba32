#include "cpu/dense_gemm.hpp"

#include <algorithm>
#include <array>

#include "cpu/algorithm_plan.hpp"
#include "cpu/host_buffer.hpp"
#include "cpu/storage.hpp"

#if defined(FLEXGEMM_HAS_BLAS)
// The Fortran interface, which every BLAS has: column-major, all arguments by address.
extern "C" void sgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n,
                       const int* k, const float* alpha, const float* a, const int* stride_a, const float* b,
                       const int* stride_b, const float* beta, float* c, const int* stride_c);
#endif

namespace flexgemm::detail {

#if defined(FLEXGEMM_HAS_BLAS)

namespace {

/// c [m, n] = a * b in row-major terms: column-major BLAS sees every matrix transposed, so it computes b * a.
void row_major_sgemm(bool transpose_a, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
                     const float* b, float* c) {
  const int columns = static_cast<int>(n);
  const int rows = static_cast<int>(m);
  const int depth = static_cast<int>(k);
  const int stride_a = transpose_a ? rows : depth;
  const float one = 1.0F;
  const float zero = 0.0F;
  sgemm_("N", transpose_a ? "T" : "N", &columns, &rows, &depth, &one, b, &columns, a, &stride_a, &zero, c,
         &columns);
}

}  // namespace

void dense_gemm(CpuDevice&, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, const float* b,
                float* c) {
  row_major_sgemm(false, m, n, k, a, b, c);
}

void dense_gemm_transposed(CpuDevice&, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
                           const float* b, float* c) {
  row_major_sgemm(true, m, n, k, a, b, c);
}

#else

namespace {
constexpr std::int64_t block_rows = 24;

/// Columns panel * width ... of rows first ... first + count of b [*, n], padded with zeros.
void copy_panel(const float* b, std::int64_t n, std::int64_t first, std::int64_t count, std::int64_t panel,
                std::int64_t width, float* target) {
  const std::int64_t columns = std::min(width, n - panel * width);
  for (std::int64_t i = 0; i < count; ++i) {
    const float* source = b + (first + i) * n + panel * width;
    std::copy(source, source + columns, target + i * width);
    std::fill(target + i * width + columns, target + (i + 1) * width, 0.0F);
  }
}
}  // namespace

void dense_gemm(CpuDevice& device, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
                const float* b, float* c) {
  const std::int64_t width = device.kernels.panel_width;
  const std::int64_t panels = divide_up(n, width);
  const std::int64_t padded = panels * width;
  HostBuffer<float> packed(device.memory, k * padded);  // [block of k][panel][k of the block][width]
  device.pool.parallel_for(divide_up(k, k_block), [&](std::int64_t block, int) {
    const std::int64_t depth = std::min(k_block, k - block * k_block);
    for (std::int64_t panel = 0; panel < panels; ++panel) {
      copy_panel(b, n, block * k_block, depth, panel, width,
                 packed.data() + block * k_block * padded + panel * depth * width);
    }
  });
  HostBuffer<float> tiles(device.memory, device.pool.threads() * block_rows * padded);
  device.pool.parallel_for(divide_up(m, block_rows), [&](std::int64_t task, int worker) {
    const std::int64_t count = std::min(block_rows, m - task * block_rows);
    float* tile = tiles.data() + worker * block_rows * padded;
    std::fill(tile, tile + count * padded, 0.0F);
    std::array<const float*, block_rows> rows;
    std::array<std::int32_t, block_rows> slots;
    for (std::int64_t first = 0; first < k; first += k_block) {
      const std::int64_t depth = std::min(k_block, k - first);
      for (std::int64_t i = 0; i < count; ++i) {
        rows[static_cast<std::size_t>(i)] = a + (task * block_rows + i) * k + first;
        slots[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i);
      }
      for (std::int64_t panel = 0; panel < panels; ++panel) {
        device.kernels.gather_gemm(rows.data(), slots.data(), count, depth,
                                   packed.data() + first * padded + panel * depth * width,
                                   tile + panel * width, padded);
      }
    }
    for (std::int64_t i = 0; i < count; ++i)
      std::copy(tile + i * padded, tile + i * padded + n, c + (task * block_rows + i) * n);
  });
}

void dense_gemm_transposed(CpuDevice& device, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
                           const float* b, float* c) {
  constexpr std::int64_t depth_block = 64;
  const std::int64_t width = device.kernels.panel_width;
  HostBuffer<float> sums(device.memory, device.pool.threads() * m * width);
  HostBuffer<float> panels(device.memory, device.pool.threads() * depth_block * width);
  device.pool.parallel_for(divide_up(n, width), [&](std::int64_t panel, int worker) {
    float* own_sums = sums.data() + worker * m * width;
    float* own_panel = panels.data() + worker * depth_block * width;
    std::fill(own_sums, own_sums + m * width, 0.0F);
    std::array<const float*, depth_block> rows;
    for (std::int64_t first = 0; first < k; first += depth_block) {
      const std::int64_t depth = std::min(depth_block, k - first);
      for (std::int64_t p = 0; p < depth; ++p) rows[static_cast<std::size_t>(p)] = a + (first + p) * m;
      copy_panel(b, n, first, depth, panel, width, own_panel);
      device.kernels.outer_products(rows.data(), m, depth, own_panel, own_sums, width);
    }
    const std::int64_t columns = std::min(width, n - panel * width);
    for (std::int64_t i = 0; i < m; ++i)
      std::copy(own_sums + i * width, own_sums + i * width + columns, c + i * n + panel * width);
  });
}

#endif

}  // namespace flexgemm::detail
