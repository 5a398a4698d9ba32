#include <bit>

#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>

#include "cuda/launch.hpp"
#include "cuda/tile_steps.hpp"

namespace flexgemm::detail {

namespace {

constexpr unsigned whole_warp = 0xffffffffu;
constexpr int fill_threads = 128;
constexpr int count_threads = 128;
constexpr int warps = count_threads / 32;
constexpr int elementwise_threads = 256;
/// A row of the staged piece of the map: 32 offsets, and one word so that columns fall into distinct banks.
constexpr int staged_row = 33;

__device__ std::uint32_t warp_or(std::uint32_t value) {
  for (int distance = 16; distance > 0; distance /= 2) value |= __shfl_xor_sync(whole_warp, value, distance);
  return value;
}

/// Steps of a tile are at most V, so their complement to V has as many bits as V.
__host__ __device__ constexpr int key_bits(int volume) {
  int bits = 0;
  for (; volume > 0; volume /= 2) ++bits;
  return bits;
}

__device__ void publish_count(const TileCount& count, std::int64_t tile, int steps) {
  count.steps[tile] = steps;
  if (tile == 0) count.steps[count.tiles] = 0;
  if (count.keys != nullptr) {
    const std::int64_t group = count.group_major ? tile / count.tiles_per_group : 0;
    count.keys[tile] = static_cast<std::uint32_t>(group << key_bits(count.volume)) |
                       static_cast<std::uint32_t>(count.volume - steps);
    count.tiles_in_order[tile] = static_cast<int>(tile);
  }
}

/// At most 32 offsets: one warp ORs the row masks of a tile.
__global__ void __launch_bounds__(count_threads)
    count_from_masks_kernel(const __grid_constant__ TileCount count) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const std::int64_t tile = static_cast<std::int64_t>(blockIdx.x) * warps + threadIdx.x / 32;
  if (tile >= count.tiles) return;  // the whole warp
  std::uint32_t mask = 0;
  for (int slot = lane; slot < count.row_tile; slot += 32) {
    const int row = count.order[tile * count.row_tile + slot];
    if (row >= 0 && !count.every_offset) mask |= __ldg(count.masks + row);
  }
  mask = (count.every_offset ? 0xffffffffu : warp_or(mask)) & count.groups.mask[tile / count.tiles_per_group];
  if (lane != 0) return;
  count.tile_masks[tile] = mask;
  publish_count(count, tile, __popc(mask));
}

/// Any number of offsets: one block reads the rows of a tile from the map; lane w of a warp collects word w.
__global__ void __launch_bounds__(count_threads)
    count_from_indices_kernel(const __grid_constant__ TileCount count) {
  __shared__ std::uint32_t tile_mask[32];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const std::int64_t tile = blockIdx.x;
  const int words = mask_words(count.volume);
  if (warp == 0) tile_mask[lane] = 0;
  __syncthreads();
  std::uint32_t mine = 0;
  for (int slot = warp; slot < count.row_tile; slot += warps) {
    const int row = count.order[tile * count.row_tile + slot];
    if (row < 0) continue;  // the whole warp
    const std::int32_t* own = count.indices + static_cast<std::int64_t>(row) * count.volume;
    for (int word = 0; word < words; ++word) {
      const int v = word * 32 + lane;
      const std::uint32_t bits = __ballot_sync(whole_warp, v < count.volume && __ldg(own + v) >= 0);
      if (lane == word) mine |= bits;
    }
  }
  if (mine != 0) atomicOr(&tile_mask[lane], mine);
  __syncthreads();
  if (warp != 0) return;
  const std::uint32_t word = tile_mask[lane];
  if (lane < words) count.tile_masks[tile * words + lane] = word;
  int steps = __popc(word);
  for (int distance = 16; distance > 0; distance /= 2) steps += __shfl_xor_sync(whole_warp, steps, distance);
  if (lane == 0) publish_count(count, tile, steps);
}

/// One block writes a tile's steps, 32 offsets at a time: the tile's rows of the map are read along the
/// offsets into shared memory and written along the rows, both coalesced.
__global__ void __launch_bounds__(fill_threads) fill_steps_kernel(const __grid_constant__ StepFill fill) {
  extern __shared__ std::int32_t staged[];  // [row_tile, staged_row], then the row tile's rows of the map
  std::int32_t* rows = staged + fill.row_tile * staged_row;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const std::int64_t tile = blockIdx.x;
  const int words = mask_words(fill.volume);
  for (int slot = static_cast<int>(threadIdx.x); slot < fill.row_tile; slot += fill_threads) {
    rows[slot] = fill.order[tile * fill.row_tile + slot];
  }
  std::int64_t step = fill.tile_begin[tile];
  for (int word = 0; word < words; ++word) {
    const int v = word * 32 + lane;
    const int valid = min(fill.volume - word * 32, 32);
    const std::uint32_t all = valid == 32 ? 0xffffffffu : (1u << valid) - 1u;
    const std::uint32_t mask = fill.tile_masks == nullptr ? all : fill.tile_masks[tile * words + word];
    if (mask == 0) continue;  // the whole block
    __syncthreads();          // `rows` is written; the previous word's staged entries are read
    for (int slot = warp; slot < fill.row_tile; slot += fill_threads / 32) {
      const int row = rows[slot];
      const bool wanted = row >= 0 && ((mask >> lane) & 1u) != 0;
      staged[slot * staged_row + lane] =
          wanted ? __ldg(fill.indices + static_cast<std::int64_t>(row) * fill.volume + v) : -1;
    }
    __syncthreads();
    int turn = 0;  // warps take the steps of this word in turn
    for (std::uint32_t rest = mask; rest != 0; rest &= rest - 1, ++turn, ++step) {
      if (turn % (fill_threads / 32) != warp) continue;
      const int bit = __ffs(static_cast<int>(rest)) - 1;
      if (lane == 0) fill.step_offset[step] = word * 32 + bit;
      for (int slot = lane; slot < fill.row_tile; slot += 32) {
        fill.step_rows[step * fill.row_tile + slot] = staged[slot * staged_row + bit];
      }
    }
  }
}

__global__ void __launch_bounds__(elementwise_threads)
    even_tiles_kernel(std::int64_t tiles, int steps_per_tile, const std::int32_t* live_rows, int row_tile,
                      std::int64_t* tile_begin) {
  const std::int64_t tile = static_cast<std::int64_t>(blockIdx.x) * elementwise_threads + threadIdx.x;
  if (tile > tiles) return;
  const std::int64_t used = live_rows == nullptr ? tiles : (*live_rows + row_tile - 1) / row_tile;
  tile_begin[tile] = min(tile, used) * steps_per_tile;
}

__global__ void __launch_bounds__(elementwise_threads)
    identity_kernel(std::int64_t rows, int row_tile, std::int64_t tiles, std::int32_t* step_rows,
                    std::int32_t* step_offset, std::int64_t* tile_begin) {
  const std::int64_t slot = static_cast<std::int64_t>(blockIdx.x) * elementwise_threads + threadIdx.x;
  if (slot < tiles * row_tile) step_rows[slot] = slot < rows ? static_cast<int>(slot) : -1;
  if (slot < tiles) step_offset[slot] = 0;
  if (slot <= tiles) tile_begin[slot] = slot;
}

cudaError_t radix_sort(void* scratch, std::size_t& bytes, const std::uint32_t* keys,
                       std::uint32_t* sorted_keys, const std::int32_t* values, std::int32_t* sorted_values,
                       std::int64_t tiles, int volume, int groups, CUstream_st* stream) {
  return cub::DeviceRadixSort::SortPairs(
      scratch, bytes, keys, sorted_keys, values, sorted_values, static_cast<std::uint32_t>(tiles), 0,
      key_bits(volume) + std::bit_width(static_cast<unsigned>(groups - 1)), stream);
}

cudaError_t exclusive_sum(void* scratch, std::size_t& bytes, const std::int64_t* steps,
                          std::int64_t* tile_begin, std::int64_t tiles, CUstream_st* stream) {
  return cub::DeviceScan::ExclusiveSum(scratch, bytes, steps, tile_begin,
                                       static_cast<std::uint32_t>(tiles + 1), stream);
}

}  // namespace

void count_steps(const TileCount& count, CUstream_st* stream) {
  if (count.masks != nullptr || count.every_offset) {
    launch("collecting the offsets of tiles", count_from_masks_kernel, ceil_div(count.tiles, warps),
           count_threads, 0, stream, count);
  } else {
    launch("collecting the offsets of tiles", count_from_indices_kernel, count.tiles, count_threads, 0,
           stream, count);
  }
}

std::size_t scan_scratch(std::int64_t tiles) {
  std::size_t bytes = 0;
  require_success(exclusive_sum(nullptr, bytes, nullptr, nullptr, tiles, nullptr),
                  "sizing the scan of steps");
  return bytes;
}

void scan_steps(const std::int64_t* steps, std::int64_t tiles, std::int64_t* tile_begin, void* scratch,
                std::size_t scratch_bytes, CUstream_st* stream) {
  require_success(exclusive_sum(scratch, scratch_bytes, steps, tile_begin, tiles, stream),
                  "scanning the steps of tiles");
}

std::size_t tile_sort_scratch(std::int64_t tiles, int volume, int groups) {
  std::size_t bytes = 0;
  require_success(
      radix_sort(nullptr, bytes, nullptr, nullptr, nullptr, nullptr, tiles, volume, groups, nullptr),
      "sizing the sort of tiles");
  return bytes;
}

void sort_tiles(const std::uint32_t* keys, std::uint32_t* sorted_keys, const std::int32_t* tiles_in_order,
                std::int32_t* tile_order, std::int64_t tiles, int volume, int groups, void* scratch,
                std::size_t scratch_bytes, CUstream_st* stream) {
  require_success(radix_sort(scratch, scratch_bytes, keys, sorted_keys, tiles_in_order, tile_order, tiles,
                             volume, groups, stream),
                  "sorting tiles by work");
}

void fill_steps(const StepFill& fill, CUstream_st* stream) {
  const int shared_bytes = fill.row_tile * (staged_row + 1) * static_cast<int>(sizeof(std::int32_t));
  launch("writing the steps of tiles", fill_steps_kernel, fill.tiles, fill_threads, shared_bytes, stream,
         fill);
}

void write_even_tiles(std::int64_t tiles, int steps_per_tile, const std::int32_t* live_rows, int row_tile,
                      std::int64_t* tile_begin, CUstream_st* stream) {
  launch("writing even tiles", even_tiles_kernel, ceil_div(tiles + 1, elementwise_threads),
         elementwise_threads, 0, stream, tiles, steps_per_tile, live_rows, row_tile, tile_begin);
}

void write_identity(std::int64_t rows, int row_tile, std::int64_t tiles, std::int32_t* step_rows,
                    std::int32_t* step_offset, std::int64_t* tile_begin, CUstream_st* stream) {
  launch("writing an identity layout", identity_kernel, ceil_div(tiles * row_tile + 1, elementwise_threads),
         elementwise_threads, 0, stream, rows, row_tile, tiles, step_rows, step_offset, tile_begin);
}

}  // namespace flexgemm::detail
