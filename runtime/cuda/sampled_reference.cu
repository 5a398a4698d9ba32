#include <algorithm>
#include <type_traits>

#include <flexgemm/half.hpp>

#include "cuda/launch.hpp"
#include "cuda/sampled_reference.hpp"

namespace flexgemm::detail {

namespace {

constexpr int threads = 256;
constexpr int warps = threads / 32;
constexpr unsigned whole_warp = 0xffffffffu;
constexpr std::int64_t most_blocks = 4096;

std::int64_t blocks_for(std::int64_t items, int per_block) {
  return std::clamp<std::int64_t>(ceil_div(items, per_block), 1, most_blocks);
}

template <class Element>
__device__ double value_of(const Element* data, std::int64_t at) {
  if constexpr (sizeof(Element) == 4) {
    return static_cast<double>(data[at]);
  } else {
    return static_cast<double>(to_float(data[at]));
  }
}

__device__ double value_of(const void* data, DType dtype, std::int64_t at) {
  switch (dtype) {
    case DType::f16:
      return value_of(static_cast<const f16*>(data), at);
    case DType::bf16:
      return value_of(static_cast<const bf16*>(data), at);
    default:
      return value_of(static_cast<const float*>(data), at);
  }
}

__device__ double warp_sum(double value) {
  for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(whole_warp, value, distance);
  return value;
}

__device__ double block_sum(double value, double* shared) {
  value = warp_sum(value);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();
  double sum = 0;
  for (int warp = 0; warp < warps; ++warp) sum += shared[warp];
  __syncthreads();
  return sum;
}

__global__ void __launch_bounds__(threads)
    forward_slots_kernel(const __grid_constant__ ReferencePass pass, const __grid_constant__ Samples samples,
                         std::int32_t* slots) {
  const std::int64_t count = samples.count * pass.volume;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x; i < count;
       i += static_cast<std::int64_t>(gridDim.x) * threads) {
    slots[i] =
        pass.indices[static_cast<std::int64_t>(samples.row[i / pass.volume]) * pass.volume + i % pass.volume];
  }
}

__global__ void __launch_bounds__(threads)
    mark_rows_kernel(const __grid_constant__ Samples samples, std::int32_t* lookup) {
  for (std::int64_t i = threadIdx.x; i < samples.count; i += threads) {
    lookup[samples.row[i]] = static_cast<std::int32_t>(i);
  }
}

/// For each pair (n, v) of a sampled input row: the one output row that takes the row at this offset.
__global__ void __launch_bounds__(threads)
    inverse_slots_kernel(const __grid_constant__ ReferencePass pass, const std::int32_t* lookup,
                         std::int32_t* slots) {
  const std::int64_t count = pass.rows * pass.volume;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x; i < count;
       i += static_cast<std::int64_t>(gridDim.x) * threads) {
    const std::int32_t input = pass.indices[i];
    if (input < 0) continue;
    const std::int32_t sample = lookup[input];
    if (sample >= 0) {
      slots[static_cast<std::int64_t>(sample) * pass.volume + i % pass.volume] =
          static_cast<std::int32_t>(i / pass.volume);
    }
  }
}

/// One warp an output element of forward or grad_input; its lanes share the reduction over channels.
template <class Element, bool kForward>
__global__ void __launch_bounds__(threads)
    row_reference_kernel(const __grid_constant__ ReferencePass pass, const __grid_constant__ Samples samples,
                         const std::int32_t* slots, double* expected) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t width = kForward ? pass.out_channels : pass.in_channels;
  const std::int64_t depth = kForward ? pass.in_channels : pass.out_channels;
  const auto* operand = static_cast<const Element*>(kForward ? pass.feats : pass.grad_out);
  const auto* weight = static_cast<const Element*>(pass.weight);
  const std::int64_t count = samples.count * width;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * warps + threadIdx.x / 32; i < count;
       i += static_cast<std::int64_t>(gridDim.x) * warps) {
    const std::int32_t* own = slots + i / width * pass.volume;
    const std::int64_t column = i % width;
    double sum = 0;
    for (int v = 0; v < pass.volume; ++v) {
      const std::int64_t row = own[v];
      if (row < 0) continue;
      for (std::int64_t k = lane; k < depth; k += 32) {
        const std::int64_t at = kForward ? (column * pass.volume + v) * pass.in_channels + k
                                         : (k * pass.volume + v) * pass.in_channels + column;
        sum += value_of(operand, row * depth + k) * value_of(weight, at);
      }
    }
    sum = warp_sum(sum);
    if (kForward && pass.bias != nullptr) sum += value_of(pass.bias, pass.bias_dtype, column);
    if (lane == 0) expected[i] = sum;
  }
}

/// One block an element of a patch of grad_weight, over all rows.
template <class Element>
__global__ void __launch_bounds__(threads)
    patch_reference_kernel(const __grid_constant__ ReferencePass pass,
                           const __grid_constant__ Samples samples, double* expected) {
  __shared__ double shared[warps];
  const std::int64_t sample = blockIdx.x / (patch * patch);
  const int element = static_cast<int>(blockIdx.x % (patch * patch));
  const std::int64_t out = samples.first_out[sample] + element / patch;
  const std::int64_t in = samples.first_in[sample] + element % patch;
  const int v = samples.row[sample];
  double sum = 0;
  if (out < pass.out_channels && in < pass.in_channels) {
    const auto* feats = static_cast<const Element*>(pass.feats);
    const auto* grad_out = static_cast<const Element*>(pass.grad_out);
    for (std::int64_t row = threadIdx.x; row < pass.rows; row += threads) {
      const std::int64_t input = pass.indices[row * pass.volume + v];
      if (input < 0) continue;
      sum +=
          value_of(grad_out, row * pass.out_channels + out) * value_of(feats, input * pass.in_channels + in);
    }
  }
  sum = block_sum(sum, shared);
  if (threadIdx.x == 0) expected[blockIdx.x] = sum;
}

/// Where a sampled result lies in the output, or -1: past the end of the channels.
__device__ std::int64_t place_of(const ReferencePass& pass, const Samples& samples, std::int64_t i) {
  if (pass.op != Op::grad_weight) {
    const std::int64_t width = pass.op == Op::forward ? pass.out_channels : pass.in_channels;
    return samples.row[i / width] * width + i % width;
  }
  const std::int64_t sample = i / (patch * patch);
  const int element = static_cast<int>(i % (patch * patch));
  const std::int64_t out = samples.first_out[sample] + element / patch;
  const std::int64_t in = samples.first_in[sample] + element % patch;
  if (out >= pass.out_channels || in >= pass.in_channels) return -1;
  return (out * pass.volume + samples.row[sample]) * pass.in_channels + in;
}

__global__ void __launch_bounds__(threads)
    compare_kernel(const __grid_constant__ ReferencePass pass, const __grid_constant__ Samples samples,
                   std::int64_t results, const double* expected, const void* output, DType output_dtype,
                   double* sums) {
  __shared__ double shared[warps];
  double difference = 0;
  double norm = 0;
  for (std::int64_t i = threadIdx.x; i < results; i += threads) {
    const std::int64_t place = place_of(pass, samples, i);
    if (place < 0) continue;
    const double delta = value_of(output, output_dtype, place) - expected[i];
    difference += delta * delta;
    norm += expected[i] * expected[i];
  }
  difference = block_sum(difference, shared);
  norm = block_sum(norm, shared);
  if (threadIdx.x == 0) {
    sums[0] = difference;
    sums[1] = norm;
    sums[2] = 0;
  }
}

__global__ void __launch_bounds__(threads)
    count_not_finite_kernel(const void* output, DType dtype, std::int64_t count, double* sum) {
  unsigned long long mine = 0;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x; i < count;
       i += static_cast<std::int64_t>(gridDim.x) * threads) {
    mine += isfinite(value_of(output, dtype, i)) ? 0 : 1;
  }
  // A count, exact in double whatever the order.
  if (mine != 0) atomicAdd(sum, static_cast<double>(mine));
}

template <class Element>
__device__ Element stored(float value) {
  if constexpr (sizeof(Element) == 4) {
    return value;
  } else if constexpr (std::is_same_v<Element, f16>) {
    return to_f16(value);
  } else {
    return to_bf16(value);
  }
}

/// The sum of four uniform values (Irwin-Hall), near enough to normal, from one splitmix64 hash (Steele, Lea
/// and Flood 2014).
template <class Element>
__global__ void __launch_bounds__(threads)
    fill_kernel(Element* target, std::int64_t count, std::uint64_t seed, float scale) {
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x; i < count;
       i += static_cast<std::int64_t>(gridDim.x) * threads) {
    std::uint64_t bits = ((seed << 40) + static_cast<std::uint64_t>(i) + 1) * 0x9e3779b97f4a7c15u;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
    bits ^= bits >> 31;
    const auto sum = static_cast<std::int32_t>((bits & 0xffffu) + ((bits >> 16) & 0xffffu) +
                                               ((bits >> 32) & 0xffffu) + (bits >> 48));
    constexpr float deviation = 65536.0f / 1.7320508f;
    target[i] = stored<Element>(scale * static_cast<float>(sum - 131070) / deviation);
  }
}

/// Calls `call` with a value of the storage type of `dtype`.
template <class Call>
void with_element(DType dtype, const Call& call) {
  switch (storage_type(dtype)) {
    case DType::f16:
      return call(f16{});
    case DType::bf16:
      return call(bf16{});
    default:
      return call(float{});
  }
}

}  // namespace

std::int64_t sample_width(const ReferencePass& pass) {
  if (pass.op == Op::grad_weight) return patch * patch;
  return pass.op == Op::forward ? pass.out_channels : pass.in_channels;
}

void find_slots(const ReferencePass& pass, const Samples& samples, std::int32_t* slots, std::int32_t* lookup,
                CUstream_st* stream) {
  const std::int64_t count = samples.count * pass.volume;
  if (pass.op == Op::forward) {
    launch("finding the neighbors of sampled rows", forward_slots_kernel, blocks_for(count, threads), threads,
           0, stream, pass, samples, slots);
    return;
  }
  require_success(
      cudaMemsetAsync(slots, 0xff, static_cast<std::size_t>(count) * sizeof(std::int32_t), stream),
      "cudaMemsetAsync");
  require_success(
      cudaMemsetAsync(lookup, 0xff, static_cast<std::size_t>(pass.rows) * sizeof(std::int32_t), stream),
      "cudaMemsetAsync");
  launch("marking sampled rows", mark_rows_kernel, 1, threads, 0, stream, samples, lookup);
  launch("finding the users of sampled rows", inverse_slots_kernel,
         blocks_for(pass.rows * pass.volume, threads), threads, 0, stream, pass, lookup, slots);
}

void compute_reference(const ReferencePass& pass, const Samples& samples, const std::int32_t* slots,
                       double* expected, CUstream_st* stream) {
  const std::int64_t results = samples.count * sample_width(pass);
  with_element(pass.dtype, [&](auto element) {
    using Element = decltype(element);
    constexpr const char* what = "the reference of a few results";
    switch (pass.op) {
      case Op::forward:
        return launch(what, row_reference_kernel<Element, true>, blocks_for(results, warps), threads, 0,
                      stream, pass, samples, slots, expected);
      case Op::grad_input:
        return launch(what, row_reference_kernel<Element, false>, blocks_for(results, warps), threads, 0,
                      stream, pass, samples, slots, expected);
      case Op::grad_weight:
        return launch(what, patch_reference_kernel<Element>, results, threads, 0, stream, pass, samples,
                      expected);
    }
  });
}

void compare_samples(const ReferencePass& pass, const Samples& samples, const double* expected,
                     const void* output, DType output_dtype, double* sums, CUstream_st* stream) {
  const DType stored_as = storage_type(output_dtype);
  launch("comparing a few results", compare_kernel, 1, threads, 0, stream, pass, samples,
         samples.count * sample_width(pass), expected, output, stored_as, sums);
  const std::int64_t elements = pass.op == Op::grad_weight
                                    ? pass.out_channels * pass.volume * pass.in_channels
                                    : pass.rows * sample_width(pass);
  launch("looking for results that are not finite", count_not_finite_kernel, blocks_for(elements, threads),
         threads, 0, stream, output, stored_as, elements, sums + 2);
}

void fill_random(void* target, DType dtype, std::int64_t count, std::uint64_t seed, float scale,
                 CUstream_st* stream) {
  if (count == 0) return;
  with_element(dtype, [&](auto element) {
    using Element = decltype(element);
    launch("filling with random values", fill_kernel<Element>, blocks_for(count, threads), threads, 0, stream,
           static_cast<Element*>(target), count, seed, scale);
  });
}

void poison(void* target, std::int64_t bytes, CUstream_st* stream) {
  require_success(cudaMemsetAsync(target, 0xff, static_cast<std::size_t>(bytes), stream), "cudaMemsetAsync");
}

}  // namespace flexgemm::detail
