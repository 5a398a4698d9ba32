#include <algorithm>

#include "gpu/fill_random.hpp"
#include "random_value.hpp"

namespace flexgemm::bench {

namespace {

constexpr int threads_per_block = 256;
constexpr std::int64_t most_blocks = 4096;

template <class Element>
__global__ void __launch_bounds__(threads_per_block)
    fill_kernel(Element* target, std::int64_t count, std::uint64_t seed, float scale) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * threads_per_block;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads_per_block + threadIdx.x; i < count;
       i += step)
    target[i] = stored<Element>(scale * random_value(seed, static_cast<std::uint64_t>(i)));
}

template <class Element>
void launch(void* target, std::int64_t count, std::uint64_t seed, float scale, cudaStream_t stream) {
  const std::int64_t blocks = std::min(most_blocks, (count + threads_per_block - 1) / threads_per_block);
  fill_kernel<<<static_cast<unsigned>(blocks), threads_per_block, 0, stream>>>(static_cast<Element*>(target),
                                                                               count, seed, scale);
}

}  // namespace

cudaError_t fill_random_on_gpu(void* target, DType dtype, std::int64_t count, std::uint64_t seed, float scale,
                               cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  switch (storage_type(dtype)) {
    case DType::f16:
      launch<f16>(target, count, seed, scale, stream);
      break;
    case DType::bf16:
      launch<bf16>(target, count, seed, scale, stream);
      break;
    default:
      launch<float>(target, count, seed, scale, stream);
      break;
  }
  return cudaGetLastError();
}

}  // namespace flexgemm::bench
