#include <algorithm>

#include "cuda/place.cuh"
#include "cuda/resident_block.cuh"

namespace flexgemm::detail {

namespace {

constexpr int most_threads = 512;
constexpr int row_color_shift = 29;
constexpr int position_color_shift = 13;

extern __shared__ std::uint32_t fill_memory[];

struct FillMemory {
  ResidentCounters* counters;
  std::int32_t* staged;      // [block_rows, staged_row]
  std::uint32_t* table;      // [table_slots]
  std::uint32_t* list;       // [list_rows]
  std::uint16_t* positions;  // [table_slots] of the rows in the table, with their colors

  __device__ explicit FillMemory(const ResidentShape& shape) {
    counters = reinterpret_cast<ResidentCounters*>(fill_memory);
    staged = reinterpret_cast<std::int32_t*>(counters + 1);
    table = reinterpret_cast<std::uint32_t*>(staged + shape.staged_words());
    list = table + shape.table_slots();
    positions = reinterpret_cast<std::uint16_t*>(list + shape.list_rows);
  }
  static std::size_t bytes(const ResidentShape& shape) {
    return sizeof(ResidentCounters) +
           sizeof(std::uint32_t) *
               static_cast<std::size_t>(shape.staged_words() + shape.table_slots() + shape.list_rows) +
           sizeof(std::uint16_t) * static_cast<std::size_t>(shape.table_slots());
  }
};

/// Writes the inputs of a phase, ascending, and notes their positions beside the table.
__device__ void write_inputs(const std::uint64_t* places, const RowSet& set, int inputs,
                             std::uint16_t* positions, std::uint32_t* target) {
  const int threads = static_cast<int>(blockDim.x);
  int padded = 1;
  while (padded < inputs) padded *= 2;
  for (int i = inputs + static_cast<int>(threadIdx.x); i < padded; i += threads) set.list[i] = RowSet::none;
  __syncthreads();
  sort_shared(set.list, padded);
  for (int i = static_cast<int>(threadIdx.x); i < inputs; i += threads) {
    const std::uint32_t row = set.list[i];
    const std::uint32_t color = color_of(places[row]);
    target[i] = row | color << row_color_shift;
    positions[set.find(row)] =
        static_cast<std::uint16_t>(static_cast<std::uint32_t>(1 + i) | color << position_color_shift);
  }
  __syncthreads();
}

__global__ void __launch_bounds__(most_threads)
    fill_kernel(const __grid_constant__ ResidentFill build, const __grid_constant__ ResidentShape shape) {
  const int slot = static_cast<int>(threadIdx.x);
  const std::int64_t block = blockIdx.x;
  const FillMemory memory(shape);
  if (slot == 0) memory.counters->offsets = 0;
  __syncthreads();

  const int row = build.order[block * shape.block_rows + slot];
  const std::uint32_t color =
      row < 0 ? static_cast<std::uint32_t>(slot) % 8 : color_of(build.source.places[row]);
  const auto nobody = static_cast<std::uint16_t>(color << position_color_shift);
  collect_offsets(stage_neighbors(build.source.indices, row, shape, memory.staged),
                  &memory.counters->offsets);
  __syncthreads();

  const std::uint32_t offsets = memory.counters->offsets;
  const std::int32_t* own = memory.staged + slot * shape.staged_row;
  std::uint16_t* locals = build.locals + block * shape.volume * shape.block_rows + slot;
  const std::uint64_t begin = build.begin[block];
  std::int64_t phase = resident_phases(begin);
  std::int64_t input = resident_inputs(begin);
  if (slot == 0) build.phase_begin[block] = static_cast<std::int32_t>(phase);

  const RowSet set{memory.table, memory.list, &memory.counters->held, shape.table_bits, shape.capacity};
  for_each_phase(set, own, offsets, [&](std::uint32_t of_phase, int inputs) {
    write_inputs(build.source.places, set, inputs, memory.positions, build.inputs + input);
    for (std::uint32_t rest = of_phase; rest != 0; rest &= rest - 1) {
      const int v = __ffs(static_cast<int>(rest)) - 1;
      const std::int32_t neighbor = own[v];
      locals[v * shape.block_rows] =
          neighbor < 0 ? nobody : memory.positions[set.find(static_cast<std::uint32_t>(neighbor))];
    }
    if (slot == 0) {
      build.phase_offsets[phase] = of_phase;
      build.input_begin[phase] = input;
    }
    ++phase;
    input += inputs;
  });
  for (int v = 0; v < shape.volume; ++v) {
    if ((offsets >> v & 1u) == 0) locals[v * shape.block_rows] = nobody;
  }
  if (slot == 0 && block == build.source.blocks - 1) {
    build.phase_begin[block + 1] = static_cast<std::int32_t>(phase);
    build.input_begin[phase] = input;
  }
}

}  // namespace

void fill_resident_blocks(const ResidentFill& fill, CUstream_st* stream) {
  launch_resident("filling resident blocks", fill_kernel, fill.source,
                  static_cast<int>(FillMemory::bytes(ResidentShape(fill.source))), stream, fill);
}

}  // namespace flexgemm::detail
