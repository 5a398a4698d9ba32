#include <algorithm>

#include "cuda/grad_bias.hpp"
#include "cuda/launch.hpp"
#include "ptx/convert.cuh"

namespace flexgemm::detail {

namespace {

constexpr int threads_per_block = 256;

/// What both stages share: a block sums some columns of some rows. Its threads form a grid of `columns` (a
/// power of two) vectors by 256 / columns rows.
struct ColumnBlock {
  std::int64_t rows;
  std::int64_t channels;
  int columns;
};

/// Sums of at most so many rows are folded into totals: the rounding error grows with the number of folds.
constexpr int fold_rows = 256;

template <class Element, int elements>
__device__ void sum_rows(const Element* source, const ColumnBlock& block, std::int64_t first,
                         std::int64_t last, std::int64_t channel, float (&totals)[elements]) {
  union Pack {
    Vector<elements* static_cast<int>(sizeof(Element))> word;
    Element values[elements];
  };
  const int row_threads = threads_per_block / block.columns;
  std::int64_t row = first + static_cast<int>(threadIdx.x) / block.columns;
  while (row < last) {
    float sums[elements] = {};
#pragma unroll 4
    for (int folded = 0; folded < fold_rows; ++folded) {
      if (row >= last) break;
      Pack pack;
      pack.word =
          __ldg(reinterpret_cast<const decltype(pack.word)*>(source + row * block.channels + channel));
#pragma unroll
      for (int e = 0; e < elements; ++e) sums[e] += to_float(pack.values[e]);
      row += row_threads;
    }
#pragma unroll
    for (int e = 0; e < elements; ++e) totals[e] += sums[e];
  }
}

/// Adds the totals of a block's row threads, in their order; the first row of threads gets the sums.
template <int elements>
__device__ void add_row_threads(const ColumnBlock& block, float (&totals)[elements]) {
  __shared__ float shared[threads_per_block * elements];
  for (int e = 0; e < elements; ++e) shared[e * threads_per_block + threadIdx.x] = totals[e];
  __syncthreads();
  if (static_cast<int>(threadIdx.x) >= block.columns) return;
  for (int other = static_cast<int>(threadIdx.x) + block.columns; other < threads_per_block;
       other += block.columns) {
    for (int e = 0; e < elements; ++e) totals[e] += shared[e * threads_per_block + other];
  }
}

template <class Element, int elements>
__global__ void __launch_bounds__(threads_per_block)
    partial_sums_kernel(const Element* source, ColumnBlock block, float* partials) {
  const std::int64_t vector =
      static_cast<std::int64_t>(blockIdx.x) * block.columns + static_cast<int>(threadIdx.x) % block.columns;
  const std::int64_t channel = vector * elements;
  const std::int64_t first = block.rows * blockIdx.y / gridDim.y;
  const std::int64_t last = block.rows * (blockIdx.y + 1) / gridDim.y;
  float totals[elements] = {};
  if (channel < block.channels) sum_rows<Element, elements>(source, block, first, last, channel, totals);
  add_row_threads(block, totals);
  if (static_cast<int>(threadIdx.x) >= block.columns || channel >= block.channels) return;
  for (int e = 0; e < elements; ++e) partials[blockIdx.y * block.channels + channel + e] = totals[e];
}

template <class Output>
__global__ void __launch_bounds__(threads_per_block)
    final_sums_kernel(const float* partials, ColumnBlock block, Output* output, bool accumulate) {
  const std::int64_t channel =
      static_cast<std::int64_t>(blockIdx.x) * block.columns + static_cast<int>(threadIdx.x) % block.columns;
  float total[1] = {};
  if (channel < block.channels) sum_rows<float, 1>(partials, block, 0, block.rows, channel, total);
  add_row_threads(block, total);
  if (static_cast<int>(threadIdx.x) >= block.columns || channel >= block.channels) return;
  if (accumulate) total[0] += to_float(output[channel]);
  output[channel] = from_float<Output>(total[0]);
}

/// Columns of a block: all of them where that leaves threads for several rows.
ColumnBlock column_block(std::int64_t rows, std::int64_t channels, std::int64_t vectors) {
  int columns = 1;
  while (columns < 32 && columns < vectors) columns *= 2;
  return {rows, channels, columns};
}

template <class Element, int elements>
void sum_parts(const GradBias& gradient, CUstream_st* stream) {
  const std::int64_t vectors = gradient.channels / elements;
  const ColumnBlock block = column_block(gradient.rows, gradient.channels, vectors);
  cudaLaunchConfig_t config{};
  config.gridDim =
      dim3(static_cast<unsigned>(ceil_div(vectors, block.columns)), static_cast<unsigned>(gradient.parts));
  config.blockDim = dim3(threads_per_block);
  config.stream = stream;
  require_success(
      cudaLaunchKernelEx(&config, partial_sums_kernel<Element, elements>,
                         static_cast<const Element*>(gradient.grad_out), block, gradient.partials),
      "summing the columns of grad_out");
}

template <class Element>
void sum_parts_in_vectors(const GradBias& gradient, CUstream_st* stream) {
  constexpr int whole = 16 / static_cast<int>(sizeof(Element));
  const auto address = reinterpret_cast<std::uintptr_t>(gradient.grad_out);
  if (gradient.channels % whole == 0 && address % 16 == 0) return sum_parts<Element, whole>(gradient, stream);
  sum_parts<Element, 1>(gradient, stream);
}

template <class Output>
void sum_partials(const GradBias& gradient, CUstream_st* stream) {
  const ColumnBlock block = column_block(gradient.parts, gradient.channels, gradient.channels);
  launch("adding the parts of the bias gradient", final_sums_kernel<Output>,
         ceil_div(gradient.channels, block.columns), threads_per_block, 0, stream, gradient.partials, block,
         static_cast<Output*>(gradient.output), gradient.accumulate);
}

/// Calls `function` with a value of the element type that a DType is stored as.
template <class Function>
void with_element(DType dtype, const Function& function) {
  if (dtype == DType::f16) return function(f16_t{});
  if (dtype == DType::bf16) return function(bf16_t{});
  function(float{});
}

}  // namespace

int grad_bias_parts(std::int64_t rows, std::int64_t channels, int multiprocessors) {
  constexpr std::int64_t least_rows = 64;
  const std::int64_t column_blocks = ceil_div(channels, 256);
  const std::int64_t wanted = std::max<std::int64_t>(4 * multiprocessors / column_blocks, 1);
  return static_cast<int>(std::clamp<std::int64_t>(ceil_div(rows, least_rows), 1, wanted));
}

void run_grad_bias(const GradBias& gradient, CUstream_st* stream) {
  with_element(gradient.dtype,
               [&](auto element) { sum_parts_in_vectors<decltype(element)>(gradient, stream); });
  with_element(gradient.output_dtype,
               [&](auto element) { sum_partials<decltype(element)>(gradient, stream); });
}

}  // namespace flexgemm::detail
