#include "cuda/inverse_map.hpp"
#include "cuda/launch.hpp"

namespace flexgemm::detail {

namespace {

constexpr int threads_per_block = 256;

__global__ void __launch_bounds__(threads_per_block)
    repeated_rows_kernel(const std::int32_t* indices, std::int64_t rows, int volume, int centre,
                         unsigned long long* count) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * threads_per_block + threadIdx.x;
  bool repeated = false;
  if (row < rows) {
    const std::int32_t own = __ldg(indices + row * volume + centre);
    repeated = own >= 0 && own != row;
  }
  const int found = __syncthreads_count(repeated);
  if (threadIdx.x == 0 && found != 0) atomicAdd(count, static_cast<unsigned long long>(found));
}

__global__ void __launch_bounds__(threads_per_block)
    invert_kernel(const std::int32_t* indices, std::int64_t entries, int volume, std::int32_t* inverse) {
  const std::int64_t entry = static_cast<std::int64_t>(blockIdx.x) * threads_per_block + threadIdx.x;
  if (entry >= entries) return;
  const std::int32_t neighbor = __ldg(indices + entry);
  if (neighbor < 0) return;
  const std::int64_t row = entry / volume;
  const std::int64_t offset = entry - row * volume;
  inverse[static_cast<std::int64_t>(neighbor) * volume + offset] = static_cast<std::int32_t>(row);
}

}  // namespace

void count_repeated_rows(const std::int32_t* indices, std::int64_t rows, int volume, int centre,
                         unsigned long long* count, CUstream_st* stream) {
  require_success(cudaMemsetAsync(count, 0, sizeof(*count), stream), "clearing a counter");
  launch("counting repeated coordinates", repeated_rows_kernel, ceil_div(rows, threads_per_block),
         threads_per_block, 0, stream, indices, rows, volume, centre, count);
}

void invert_map(const std::int32_t* indices, std::int64_t rows, int volume, std::int32_t* inverse,
                CUstream_st* stream) {
  const std::int64_t entries = rows * volume;
  require_success(
      cudaMemsetAsync(inverse, 0xff, static_cast<std::size_t>(entries) * sizeof(std::int32_t), stream),
      "clearing the inverse map");
  launch("inverting the map", invert_kernel, ceil_div(entries, threads_per_block), threads_per_block, 0,
         stream, indices, entries, volume, inverse);
}

}  // namespace flexgemm::detail
