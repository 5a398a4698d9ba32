#include "reference/reference.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace flexgemm::reference {

namespace {

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

/// Calls work(0) ... work(count - 1), each once, on all processors. Calls must not share what they write.
void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& work) {
  std::atomic<std::int64_t> next{0};
  const auto worker = [&] {
    for (std::int64_t task = next++; task < count; task = next++) work(task);
  };
  std::vector<std::thread> threads;
  const std::int64_t wanted =
      std::min<std::int64_t>(std::max(1u, std::thread::hardware_concurrency()), count);
  for (std::int64_t thread = 1; thread < wanted; ++thread) threads.emplace_back(worker);
  worker();
  for (std::thread& thread : threads) thread.join();
}

/// Calls work(begin, end) for blocks of rows.
void parallel_for_blocks(std::int64_t rows, std::int64_t block,
                         const std::function<void(std::int64_t, std::int64_t)>& work) {
  parallel_for((rows + block - 1) / block,
               [&](std::int64_t task) { work(task * block, std::min(rows, (task + 1) * block)); });
}

/// The cells above one (batch, x, y), each with the lowest row that lies there, in the order of z.
using Column = std::vector<std::pair<std::int32_t, std::int32_t>>;
using ColumnKey = std::tuple<std::int64_t, std::int64_t, std::int64_t>;

struct ColumnKeyHash {
  std::size_t operator()(const ColumnKey& key) const noexcept {
    std::uint64_t hash = 0;
    for (const std::int64_t part : {std::get<0>(key), std::get<1>(key), std::get<2>(key)}) {
      hash = (hash ^ static_cast<std::uint64_t>(part)) * 0x9e3779b97f4a7c15u;
      hash ^= hash >> 29;
    }
    return hash;
  }
};

bool inside(const std::int32_t* coordinate, const Grid& grid) {
  return coordinate[0] >= 0 && coordinate[0] < grid.batch && coordinate[1] >= 0 && coordinate[1] < grid.x &&
         coordinate[2] >= 0 && coordinate[2] < grid.y && coordinate[3] >= 0 && coordinate[3] < grid.z;
}

/// weight [Co, V, Ci] to [V, Ci, Co] or, with `co_inner` false, to [V, Co, Ci].
std::vector<double> by_offset(const double* weight, int volume, std::int64_t in_channels,
                              std::int64_t out_channels, bool co_inner) {
  std::vector<double> result(at(out_channels * volume * in_channels));
  for (std::int64_t co = 0; co < out_channels; ++co) {
    for (std::int64_t v = 0; v < volume; ++v) {
      for (std::int64_t ci = 0; ci < in_channels; ++ci) {
        const std::int64_t target = co_inner ? (v * in_channels + ci) * out_channels + co
                                             : (v * out_channels + co) * in_channels + ci;
        result[at(target)] = weight[(co * volume + v) * in_channels + ci];
      }
    }
  }
  return result;
}

/// target[i] += factor * source[i]
void add_scaled(double* target, const double* source, double factor, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) target[i] += factor * source[i];
}

}  // namespace

std::vector<std::int32_t> neighbor_map(const std::int32_t* coords, std::int64_t rows, const Grid& grid,
                                       const SubmanifoldOptions& options) {
  std::unordered_map<ColumnKey, Column, ColumnKeyHash> columns;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int32_t* c = coords + row * 4;
    if (inside(c, grid)) columns[{c[0], c[1], c[2]}].emplace_back(c[3], static_cast<std::int32_t>(row));
  }
  for (auto& [key, column] : columns) std::sort(column.begin(), column.end());

  const Extent3& kernel = options.kernel;
  const std::int64_t volume = std::int64_t{kernel.x} * kernel.y * kernel.z;
  std::vector<std::int32_t> map(at(rows * volume), -1);
  const auto tap = [](int k, int extent, int dilation) {
    return std::int64_t{k - extent / 2} * std::int64_t{dilation};
  };
  const auto fill_row = [&](std::int64_t row) {
    const std::int32_t* c = coords + row * 4;
    if (!inside(c, grid)) return;
    for (int kx = 0; kx < kernel.x; ++kx) {
      for (int ky = 0; ky < kernel.y; ++ky) {
        const auto found = columns.find({c[0], c[1] + tap(kx, kernel.x, options.dilation.x),
                                         c[2] + tap(ky, kernel.y, options.dilation.y)});
        if (found == columns.end()) continue;
        const Column& column = found->second;
        for (int kz = 0; kz < kernel.z; ++kz) {
          const std::int64_t z = c[3] + tap(kz, kernel.z, options.dilation.z);
          const auto cell = std::lower_bound(
              column.begin(), column.end(), z,
              [](const auto& candidate, std::int64_t wanted) { return candidate.first < wanted; });
          if (cell == column.end() || cell->first != z) continue;
          map[at(row * volume + (std::int64_t{kx} * kernel.y + ky) * kernel.z + kz)] = cell->second;
        }
      }
    }
  };
  parallel_for_blocks(rows, 4096, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) fill_row(row);
  });
  return map;
}

std::vector<double> forward(const MapView& map, const double* feats, const double* weight, const double* bias,
                            std::int64_t in_channels, std::int64_t out_channels,
                            const std::vector<std::int64_t>& selected) {
  const std::vector<double> by_v = by_offset(weight, map.volume, in_channels, out_channels, true);
  const std::int64_t rows = selected.empty() ? map.rows : static_cast<std::int64_t>(selected.size());
  std::vector<double> out(at(rows * out_channels));
  parallel_for_blocks(rows, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t n = selected.empty() ? row : selected[at(row)];
      double* target = out.data() + row * out_channels;
      if (bias != nullptr) std::copy(bias, bias + out_channels, target);
      for (std::int64_t v = 0; v < map.volume; ++v) {
        const std::int64_t m = map.indices[n * map.volume + v];
        if (m < 0) continue;
        for (std::int64_t ci = 0; ci < in_channels; ++ci) {
          add_scaled(target, by_v.data() + (v * in_channels + ci) * out_channels, feats[m * in_channels + ci],
                     out_channels);
        }
      }
    }
  });
  return out;
}

std::vector<double> grad_input(const MapView& map, const double* grad_out, const double* weight,
                               std::int64_t in_channels, std::int64_t out_channels) {
  const std::vector<double> by_v = by_offset(weight, map.volume, in_channels, out_channels, false);
  std::vector<double> gradient(at(map.rows * in_channels));
  // Every block of input rows reads the whole map and takes what points into the block, in the map's order.
  const std::int64_t block = std::max<std::int64_t>(64, (map.rows + 15) / 16);
  parallel_for_blocks(map.rows, block, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = 0; n < map.rows; ++n) {
      for (std::int64_t v = 0; v < map.volume; ++v) {
        const std::int64_t m = map.indices[n * map.volume + v];
        if (m < begin || m >= end) continue;
        for (std::int64_t co = 0; co < out_channels; ++co) {
          add_scaled(gradient.data() + m * in_channels, by_v.data() + (v * out_channels + co) * in_channels,
                     grad_out[n * out_channels + co], in_channels);
        }
      }
    }
  });
  return gradient;
}

std::vector<double> grad_weight(const MapView& map, const double* grad_out, const double* feats,
                                std::int64_t in_channels, std::int64_t out_channels) {
  std::vector<double> gradient(at(out_channels * map.volume * in_channels));
  constexpr std::int64_t channel_block = 32;
  const std::int64_t blocks = (out_channels + channel_block - 1) / channel_block;
  parallel_for(map.volume * blocks, [&](std::int64_t task) {
    const std::int64_t v = task / blocks;
    const std::int64_t begin = task % blocks * channel_block;
    const std::int64_t end = std::min(out_channels, begin + channel_block);
    for (std::int64_t n = 0; n < map.rows; ++n) {
      const std::int64_t m = map.indices[n * map.volume + v];
      if (m < 0) continue;
      for (std::int64_t co = begin; co < end; ++co) {
        add_scaled(gradient.data() + (co * map.volume + v) * in_channels, feats + m * in_channels,
                   grad_out[n * out_channels + co], in_channels);
      }
    }
  });
  return gradient;
}

std::vector<double> grad_bias(const double* grad_out, std::int64_t rows, std::int64_t out_channels) {
  std::vector<double> gradient(at(out_channels));
  for (std::int64_t n = 0; n < rows; ++n) {
    add_scaled(gradient.data(), grad_out + n * out_channels, 1.0, out_channels);
  }
  return gradient;
}

double relative_error(const std::vector<double>& result, const std::vector<double>& expected) {
  if (result.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (!std::isfinite(result[i])) return std::numeric_limits<double>::infinity();
    difference += (result[i] - expected[i]) * (result[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
}

double tolerance(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return 1e-6;
    case DType::tf32:
    case DType::f16:
      return 1e-3;
    case DType::bf16:
      return 8e-3;
    case DType::i32:
      break;
  }
  return 0;
}

}  // namespace flexgemm::reference
