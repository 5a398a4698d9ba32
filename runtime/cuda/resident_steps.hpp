#pragma once

#include <cstddef>
#include <cstdint>

#include <flexgemm/device.hpp>

#include "cuda/row_order.hpp"

namespace flexgemm::detail {

/// Phases and inputs of a run of blocks in one word, so that one scan counts both: fewer than 2^35 inputs, as
/// each is a pair of the map, below at most 2^28 phases.
inline constexpr int resident_phase_shift = 35;
constexpr std::int64_t resident_phases(std::uint64_t counts) noexcept {
  return static_cast<std::int64_t>(counts >> resident_phase_shift);
}
constexpr std::int64_t resident_inputs(std::uint64_t counts) noexcept {
  return static_cast<std::int64_t>(counts & ((std::uint64_t{1} << resident_phase_shift) - 1));
}

/// What both steps of a resident layout's build read (resident_layout.hpp).
struct ResidentSource {
  const std::int32_t* indices;  // [rows, volume]
  const std::uint64_t* places;  // [rows]
  std::int64_t rows;            // 1 to 2^29 - 1
  std::int64_t blocks;
  int volume;      // 1 to 32
  int block_rows;  // a multiple of 64, 64 to 512: the threads of a block
  int capacity;
};

struct ResidentOrder {
  ResidentSource source;
  MaskOffsets offsets;
  const std::int32_t* place_order;  // [rows]
  std::int32_t* order;              // [blocks * block_rows]
  std::uint32_t* masks;             // [blocks * block_rows / 16]
  std::uint64_t* counts;            // [blocks + 1] of each block, and 0
};
/// Orders the rows of every block and counts its phases and inputs: one kernel.
void order_resident_rows(const ResidentOrder& order, CUstream_st* stream);

/// Bytes of `scratch` that `scan_resident_counts` needs.
std::size_t resident_scan_scratch(std::int64_t blocks);
/// begin[b] = the counts of all blocks before b; counts and begin [blocks + 1].
void scan_resident_counts(const std::uint64_t* counts, std::int64_t blocks, std::uint64_t* begin,
                          void* scratch, std::size_t scratch_bytes, CUstream_st* stream);

struct ResidentFill {
  ResidentSource source;
  const std::int32_t* order;     // [blocks * block_rows]
  const std::uint64_t* begin;    // [blocks + 1]
  std::uint16_t* locals;         // [blocks, volume, block_rows]
  std::int32_t* phase_begin;     // [blocks + 1]
  std::uint32_t* phase_offsets;  // [phases]
  std::int64_t* input_begin;     // [phases + 1]
  std::uint32_t* inputs;         // [inputs]
};
/// Writes what follows from the order of the rows: one kernel.
void fill_resident_blocks(const ResidentFill& fill, CUstream_st* stream);

}  // namespace flexgemm::detail
