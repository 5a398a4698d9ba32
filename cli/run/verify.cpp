#include "run/verify.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <random>

#include "reference/reference.hpp"
#include "run/layer_data.hpp"

namespace flexgemm::run {

namespace {

constexpr double most_multiply_adds = 2e10;  // of the reference, over all layers
constexpr double most_lookups = 8e6;         // of the reference's neighbor map
constexpr std::int64_t least_rows = 512;

using Cell = std::array<std::int32_t, 4>;

Cell cell_of(const scene::VoxelScene& scene, std::int64_t row) {
  const std::int32_t* coordinate = scene.coords.data() + 4 * row;
  return {coordinate[0], coordinate[1], coordinate[2], coordinate[3]};
}

std::vector<std::int64_t> draw_rows(std::int64_t voxels, std::int64_t count, std::uint64_t seed) {
  std::vector<std::int64_t> drawn(static_cast<std::size_t>(count));
  std::mt19937_64 engine(seed);
  for (std::int64_t part = 0; part < count; ++part) {
    const std::int64_t begin = voxels / count * part + std::min(voxels % count, part);
    const std::int64_t size = voxels / count + (part < voxels % count ? 1 : 0);
    drawn[static_cast<std::size_t>(part)] =
        begin + static_cast<std::int64_t>(engine() % static_cast<std::uint64_t>(size));
  }
  return drawn;
}

/// Every cell that the drawn rows read or lie in, sorted, each once.
std::vector<Cell> cells_in_reach(const scene::VoxelScene& scene, const SubmanifoldOptions& options,
                                 const std::vector<std::int64_t>& drawn) {
  const Extent3& kernel = options.kernel;
  const Extent3& dilation = options.dilation;
  // A tap beyond the range of int32 wraps to a negative cell, which lies outside every grid.
  const auto reach = [](std::int32_t from, int tap, int taps, int step) {
    return static_cast<std::int32_t>(static_cast<std::int64_t>(from) + std::int64_t{tap - taps / 2} * step);
  };
  std::vector<Cell> cells;
  cells.reserve(drawn.size() * static_cast<std::size_t>(kernel.x * kernel.y * kernel.z));
  for (const std::int64_t row : drawn) {
    const auto [batch, x, y, z] = cell_of(scene, row);
    for (int kx = 0; kx < kernel.x; ++kx) {
      for (int ky = 0; ky < kernel.y; ++ky) {
        for (int kz = 0; kz < kernel.z; ++kz) {
          cells.push_back({batch, reach(x, kx, kernel.x, dilation.x), reach(y, ky, kernel.y, dilation.y),
                           reach(z, kz, kernel.z, dilation.z)});
        }
      }
    }
  }
  std::sort(cells.begin(), cells.end());
  cells.erase(std::unique(cells.begin(), cells.end()), cells.end());
  return cells;
}

/// Rows [rows.size(), channels] of a tensor, widened.
std::vector<double> widen_rows(const void* values, DType dtype, std::int64_t channels,
                               const std::vector<std::int64_t>& rows) {
  std::vector<double> wide;
  wide.reserve(rows.size() * static_cast<std::size_t>(channels));
  for (const std::int64_t row : rows) {
    for (std::int64_t channel = 0; channel < channels; ++channel) {
      wide.push_back(static_cast<double>(decode(values, dtype, row * channels + channel)));
    }
  }
  return wide;
}

}  // namespace

std::int64_t verification_rows(std::int64_t voxels, std::int64_t pairs, int volume,
                               const std::vector<std::int64_t>& channels) {
  if (voxels == 0) return 0;
  double multiply_adds_a_pair = 0;
  for (std::size_t layer = 1; layer < channels.size(); ++layer) {
    multiply_adds_a_pair += static_cast<double>(channels[layer - 1]) * static_cast<double>(channels[layer]);
  }
  const double pairs_a_row = std::max(1.0, static_cast<double>(pairs) / static_cast<double>(voxels));
  const double affordable = std::min(most_multiply_adds / (multiply_adds_a_pair * pairs_a_row),
                                     most_lookups / static_cast<double>(volume));
  if (affordable >= static_cast<double>(voxels)) return voxels;
  return std::min(voxels, std::max(least_rows, static_cast<std::int64_t>(affordable)));
}

VerificationSample draw_sample(const scene::VoxelScene& scene, const SubmanifoldOptions& options,
                               std::int64_t count, std::uint64_t seed) {
  const std::int64_t voxels = scene.voxels();
  VerificationSample sample;
  sample.volume = options.kernel.x * options.kernel.y * options.kernel.z;
  if (count >= voxels) {
    sample.rows.resize(static_cast<std::size_t>(voxels));
    std::iota(sample.rows.begin(), sample.rows.end(), std::int64_t{0});
    sample.selected = sample.rows;
    sample.map = reference::neighbor_map(scene.coords.data(), voxels, scene.grid, options);
    return sample;
  }
  const std::vector<std::int64_t> drawn = draw_rows(voxels, count, seed);
  const std::vector<Cell> cells = cells_in_reach(scene, options, drawn);
  std::vector<std::int32_t> coords;
  auto next_drawn = drawn.begin();
  for (std::int64_t row = 0; row < voxels; ++row) {
    const Cell cell = cell_of(scene, row);
    const bool is_drawn = next_drawn != drawn.end() && *next_drawn == row;
    if (!is_drawn && !std::binary_search(cells.begin(), cells.end(), cell)) continue;
    if (is_drawn) {
      sample.selected.push_back(static_cast<std::int64_t>(sample.rows.size()));
      ++next_drawn;
    }
    sample.rows.push_back(row);
    coords.insert(coords.end(), cell.begin(), cell.end());
  }
  sample.map = reference::neighbor_map(coords.data(), static_cast<std::int64_t>(sample.rows.size()),
                                       scene.grid, options);
  return sample;
}

std::int64_t map_mismatches(const VerificationSample& sample, const std::int32_t* indices) {
  std::int64_t mismatches = 0;
  for (const std::int64_t position : sample.selected) {
    const std::int32_t* expected = sample.map.data() + position * sample.volume;
    const std::int32_t* found = indices + sample.rows[static_cast<std::size_t>(position)] * sample.volume;
    for (int offset = 0; offset < sample.volume; ++offset) {
      const std::int64_t row =
          expected[offset] < 0 ? -1 : sample.rows[static_cast<std::size_t>(expected[offset])];
      mismatches += found[offset] != row;
    }
  }
  return mismatches;
}

double layer_error(const VerificationSample& sample, const LayerCheck& layer) {
  if (sample.selected.empty()) return 0;
  const Conv3dOptions& options = *layer.options;
  const std::int64_t in_channels = options.in_channels;
  const std::int64_t out_channels = options.out_channels;
  std::vector<std::int64_t> checked_rows;
  for (const std::int64_t position : sample.selected) {
    checked_rows.push_back(sample.rows[static_cast<std::size_t>(position)]);
  }
  std::vector<std::int64_t> weight_rows(static_cast<std::size_t>(out_channels * sample.volume));
  std::iota(weight_rows.begin(), weight_rows.end(), std::int64_t{0});

  const std::vector<double> feats = widen_rows(layer.feats, options.dtype, in_channels, sample.rows);
  const std::vector<double> weight = widen_rows(layer.weight, options.dtype, in_channels, weight_rows);
  const std::vector<double> bias(layer.bias, layer.bias + out_channels);
  const reference::MapView map{sample.map.data(), static_cast<std::int64_t>(sample.rows.size()),
                               sample.volume};
  const std::vector<double> expected = reference::forward(map, feats.data(), weight.data(), bias.data(),
                                                          in_channels, out_channels, sample.selected);
  return reference::relative_error(widen_rows(layer.out, options.dtype, out_channels, checked_rows),
                                   expected);
}

}  // namespace flexgemm::run
