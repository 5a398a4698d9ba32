#include "waste.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <numeric>

#include "cuda/row_order.hpp"

namespace flexgemm::bench {

namespace {

/// Position of a row's mask in the sequence of Gray codes, its offsets taken by significance.
std::uint32_t gray_rank(const std::int32_t* row, const detail::MaskOffsets& offsets) {
  std::uint32_t rank = 0;
  std::uint32_t parity = 0;
  for (int i = 0; i < offsets.count - 1; ++i) {
    parity ^= row[offsets.offset[offsets.significance[i]]] >= 0 ? 1u : 0u;
    rank = (rank << 1) | parity;
  }
  return rank;
}

std::vector<std::int32_t> row_order(const HostMap& map) {
  const detail::MaskOffsets offsets = detail::mask_offsets(map.kernel);
  const detail::RowKey key = detail::row_key(offsets, map.rows, map.volume(), 1);
  std::vector<std::uint64_t> keyed(static_cast<std::size_t>(map.rows));
  for (std::int64_t n = 0; n < map.rows; ++n) {
    const std::uint32_t rank = gray_rank(map.indices.data() + n * map.volume(), offsets);
    const std::uint64_t block = key.block_bits == 0 ? 0 : static_cast<std::uint64_t>(n / key.block_rows);
    keyed[static_cast<std::size_t>(n)] =
        (((block << key.rank_bits) | rank) << 32) | static_cast<std::uint64_t>(n);
  }
  std::sort(keyed.begin(), keyed.end());  // by key, equal ones by row: as a stable sort by key
  std::vector<std::int32_t> order(keyed.size());
  std::transform(keyed.begin(), keyed.end(), order.begin(),
                 [](std::uint64_t entry) { return static_cast<std::int32_t>(entry & 0xffffffffu); });
  return order;
}

/// Steps of all tiles: a step is one offset of one tile.
std::int64_t masked_steps(const HostMap& map, int row_tile) {
  const std::vector<std::int32_t> order = row_order(map);
  const int volume = map.volume();
  std::vector<char> visited(static_cast<std::size_t>(volume));
  std::int64_t steps = 0;
  for (std::int64_t first = 0; first < map.rows; first += row_tile) {
    std::fill(visited.begin(), visited.end(), char{0});
    const std::int64_t last = std::min<std::int64_t>(first + row_tile, map.rows);
    for (std::int64_t slot = first; slot < last; ++slot) {
      const std::int32_t* row =
          map.indices.data() + std::int64_t{order[static_cast<std::size_t>(slot)]} * volume;
      for (int v = 0; v < volume; ++v) visited[static_cast<std::size_t>(v)] |= row[v] >= 0 ? 1 : 0;
    }
    steps += std::accumulate(visited.begin(), visited.end(), std::int64_t{0});
  }
  return steps;
}

}  // namespace

std::optional<int> row_tile_of(const std::string& kernel) {
  // Groups of offsets have orders of their own.
  if (kernel.starts_with("persistent_gemm") && kernel.find(".storage.") == std::string::npos)
    return std::nullopt;
  for (std::size_t at = kernel.find(".t"); at != std::string::npos; at = kernel.find(".t", at + 1)) {
    int rows = 0;
    const char* begin = kernel.data() + at + 2;
    const auto [stop, error] = std::from_chars(begin, kernel.data() + kernel.size(), rows);
    if (error == std::errc() && stop != begin && *stop == 'x' && rows > 0) return rows;
  }
  return std::nullopt;
}

std::optional<double> waste_of(const HostMap& map, Algorithm algorithm, int row_tile) {
  if (map.pairs <= 0 || row_tile <= 0) return std::nullopt;
  const std::int64_t tiles = (map.rows + row_tile - 1) / row_tile;
  const bool masked =
      algorithm == Algorithm::masked_implicit_gemm || algorithm == Algorithm::masked_implicit_gemm_splitk;
  const std::int64_t steps = masked ? masked_steps(map, row_tile) : tiles * map.volume();
  return static_cast<double>(steps) * row_tile / static_cast<double>(map.pairs);
}

}  // namespace flexgemm::bench
