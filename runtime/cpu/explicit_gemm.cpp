#include "cpu/explicit_gemm.hpp"

#include <algorithm>
#include <vector>

#include "cpu/dense_gemm.hpp"
#include "cpu/finish_row.hpp"
#include "cpu/host_buffer.hpp"
#include "cpu/storage.hpp"

namespace flexgemm::detail {

namespace {

constexpr std::int64_t rows_per_task = 32;

/// gathered [count, V * channels] = the neighbors of the map's rows first ... first + count.
void gather_neighbors(CpuDevice& device, const CpuMap& map, const void* input, DType storage,
                      std::int64_t channels, std::int64_t first, std::int64_t count, float* gathered) {
  const int volume = map.volume();
  device.pool.parallel_for(divide_up(count, rows_per_task), [&](std::int64_t task, int) {
    const std::int64_t end = std::min(count, (task + 1) * rows_per_task);
    for (std::int64_t i = task * rows_per_task; i < end; ++i) {
      for (int v = 0; v < volume; ++v) {
        float* target = gathered + (i * volume + v) * channels;
        const std::int64_t neighbor = map.indices()[(first + i) * volume + v];
        if (neighbor < 0) {
          std::fill(target, target + channels, 0.0F);
        } else {
          load_elements(device.kernels, input, storage, neighbor * channels, channels, target);
        }
      }
    }
  });
}

/// The same through the inverse's lists; rows that share a place are added.
void gather_inverse(CpuDevice& device, const CpuMap& map, const void* input, DType storage,
                    std::int64_t channels, std::int64_t first, std::int64_t count, float* gathered) {
  const int volume = map.volume();
  const InverseMap& inverse = map.inverse();
  device.pool.parallel_for(divide_up(count, rows_per_task), [&](std::int64_t task, int) {
    std::vector<float> row(static_cast<std::size_t>(channels));
    const std::int64_t end = std::min(count, (task + 1) * rows_per_task);
    for (std::int64_t i = task * rows_per_task; i < end; ++i) {
      std::fill(gathered + i * volume * channels, gathered + (i + 1) * volume * channels, 0.0F);
      for (std::int64_t e = inverse.starts[first + i]; e < inverse.starts[first + i + 1]; ++e) {
        const InverseMap::Entry entry = inverse.entries[e];
        load_elements(device.kernels, input, storage, entry.row * channels, channels, row.data());
        float* target = gathered + (i * volume + entry.offset) * channels;
        for (std::int64_t c = 0; c < channels; ++c) target[c] += row[static_cast<std::size_t>(c)];
      }
    }
  });
}

/// The weights as float [V * in_channels, out_channels].
HostBuffer<float> weight_matrix(CpuDevice& device, const GatherProblem& problem) {
  const std::int64_t depth = problem.volume() * problem.in_channels;
  HostBuffer<float> matrix(device.memory, depth * problem.out_channels);
  device.pool.parallel_for(problem.volume(), [&](std::int64_t v, int) {
    for (std::int64_t k = 0; k < problem.in_channels; ++k) {
      float* target = matrix.data() + (v * problem.in_channels + k) * problem.out_channels;
      for (std::int64_t c = 0; c < problem.out_channels; ++c)
        target[c] = load_element(problem.weight, problem.storage, problem.weight_index(v, k, c));
    }
  });
  return matrix;
}

void store_chunk(CpuDevice& device, const GatherProblem& problem, std::int64_t first, std::int64_t count,
                 float* products) {
  const std::int64_t columns = problem.out_channels;
  std::vector<float> bias(static_cast<std::size_t>(columns), 0.0F);
  if (problem.bias != nullptr)
    load_elements(device.kernels, problem.bias, problem.bias_dtype, 0, columns, bias.data());
  device.pool.parallel_for(divide_up(count, rows_per_task), [&](std::int64_t task, int) {
    const std::int64_t end = std::min(count, (task + 1) * rows_per_task);
    for (std::int64_t i = task * rows_per_task; i < end; ++i) {
      finish_row(device.kernels, problem, bias.data(), first + i, 0, columns, products + i * columns);
    }
  });
}

}  // namespace

void run_explicit_gemm(CpuDevice& device, const GatherProblem& problem, const GatherPlan& plan) {
  const std::int64_t depth = problem.volume() * problem.in_channels;
  const std::int64_t chunk_rows = std::min(plan.tile_rows, problem.rows());
  const HostBuffer<float> weights = weight_matrix(device, problem);
  HostBuffer<float> gathered(device.memory, chunk_rows * depth);
  HostBuffer<float> products(device.memory, chunk_rows * problem.out_channels);
  for (std::int64_t first = 0; first < problem.rows(); first += chunk_rows) {
    const std::int64_t count = std::min(chunk_rows, problem.rows() - first);
    const auto gather = problem.uses_inverse_lists() ? gather_inverse : gather_neighbors;
    gather(device, *problem.map, problem.input, problem.storage, problem.in_channels, first, count,
           gathered.data());
    dense_gemm(device, count, problem.out_channels, depth, gathered.data(), weights.data(), products.data());
    store_chunk(device, problem, first, count, products.data());
  }
}

void run_explicit_grad_weight(CpuDevice& device, const WeightProblem& problem, const WeightPlan& plan) {
  const std::int64_t rows = problem.map->rows;
  const std::int64_t volume = problem.map->volume();
  const std::int64_t width = volume * problem.in_channels;
  const std::int64_t chunk_rows = std::min(plan.chunk_rows, rows);
  HostBuffer<float> gathered(device.memory, chunk_rows * width);
  HostBuffer<float> grad_out(device.memory, chunk_rows * problem.out_channels);
  HostBuffer<float> products(device.memory, problem.out_channels * width);
  HostBuffer<double> sums(device.memory, problem.out_channels * width);
  device.pool.parallel_for(problem.out_channels, [&](std::int64_t co, int) {
    std::fill(sums.data() + co * width, sums.data() + (co + 1) * width, 0.0);
  });
  for (std::int64_t first = 0; first < rows; first += chunk_rows) {
    const std::int64_t count = std::min(chunk_rows, rows - first);
    gather_neighbors(device, *problem.map, problem.feats, problem.storage, problem.in_channels, first, count,
                     gathered.data());
    load_elements(device.kernels, problem.grad_out, problem.storage, first * problem.out_channels,
                  count * problem.out_channels, grad_out.data());
    dense_gemm_transposed(device, problem.out_channels, width, count, grad_out.data(), gathered.data(),
                          products.data());
    device.pool.parallel_for(problem.out_channels, [&](std::int64_t co, int) {
      for (std::int64_t i = co * width; i < (co + 1) * width; ++i)
        sums[i] += static_cast<double>(products[i]);
    });
  }
  device.pool.parallel_for(problem.out_channels, [&](std::int64_t co, int) {
    for (std::int64_t i = 0; i < width; ++i)
      problem.store(co, i / problem.in_channels, i % problem.in_channels, sums[co * width + i]);
  });
}

}  // namespace flexgemm::detail
