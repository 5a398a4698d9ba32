#include "cpu/gather_gemm.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "cpu/finish_row.hpp"
#include "cpu/host_buffer.hpp"
#include "cpu/packed_weights.hpp"
#include "cpu/storage.hpp"
#include "cpu/tile_pairs.hpp"

namespace flexgemm::detail {

namespace {

/// Rows whose channels of one block stay in the L1 cache while the panels of a tile pass by.
constexpr std::int64_t row_block_floats = 5 * 1024;
constexpr std::int64_t most_block_rows = 96;

/// Memory that one worker uses for tile after tile.
struct Scratch {
  Scratch(DeviceMemory& memory, const GatherProblem& problem, const GatherPlan& plan)
      : pairs(memory, plan.tile_rows, problem.volume()),
        tile(memory, plan.tile_rows * plan.tile_columns),
        converted(memory, problem.storage == DType::f32 ? 0 : most_block_rows * k_block) {}

  TilePairs pairs;
  HostBuffer<float> tile;       // [tile_rows, tile_columns]
  HostBuffer<float> converted;  // rows of a block as float
};

class GatherGemm {
 public:
  GatherGemm(CpuDevice& device, const GatherProblem& problem, const GatherPlan& plan)
      : device_(device),
        problem_(problem),
        plan_(plan),
        weights_(device, problem),
        zeros_(static_cast<std::size_t>(k_block), 0.0F),
        bias_(static_cast<std::size_t>(problem.out_channels), 0.0F),
        partials_(device.memory, plan.parts == 1 ? 0 : plan.parts * problem.rows() * problem.out_channels),
        inverse_(problem.uses_inverse_lists() ? &problem.map->inverse() : nullptr) {
    if (problem.bias != nullptr) {
      for (std::int64_t c = 0; c < problem.out_channels; ++c)
        bias_[static_cast<std::size_t>(c)] = load_element(problem.bias, problem.bias_dtype, c);
    }
    for (int i = 0; i < device.pool.threads(); ++i) scratch_.emplace_back(device.memory, problem, plan);
  }

  void run() {
    const std::int64_t tiles = divide_up(problem_.rows(), plan_.tile_rows);
    const std::int64_t column_blocks = divide_up(problem_.out_channels, plan_.tile_columns);
    device_.pool.parallel_for(tiles * column_blocks * plan_.parts, [&](std::int64_t task, int worker) {
      const std::int64_t part = task % plan_.parts;
      const std::int64_t column_block = task / plan_.parts % column_blocks;
      compute_tile(scratch_[static_cast<std::size_t>(worker)], task / plan_.parts / column_blocks,
                   column_block, part);
    });
    if (plan_.parts > 1) add_partials();
  }

 private:
  /// The part of the reduction and the panels that a task computes for its tile.
  struct Task {
    std::int64_t first_row;
    std::int64_t rows;
    std::int64_t first_panel;
    std::int64_t panels;
    std::int64_t first_step;  // a step is a block of channels of an offset
    std::int64_t last_step;
  };

  void compute_tile(Scratch& scratch, std::int64_t tile, std::int64_t column_block, std::int64_t part) {
    const std::int64_t width = device_.kernels.panel_width;
    const std::int64_t steps = problem_.volume() * weights_.blocks();
    const std::int64_t first_column = column_block * plan_.tile_columns;
    const std::int64_t columns = std::min(plan_.tile_columns, problem_.out_channels - first_column);
    const Task task{.first_row = tile * plan_.tile_rows,
                    .rows = std::min(plan_.tile_rows, problem_.rows() - tile * plan_.tile_rows),
                    .first_panel = first_column / width,
                    .panels = divide_up(columns, width),
                    .first_step = part * steps / plan_.parts,
                    .last_step = (part + 1) * steps / plan_.parts};
    std::fill(scratch.tile.data(), scratch.tile.data() + task.rows * plan_.tile_columns, 0.0F);
    if (inverse_ != nullptr) {
      multiply_inverse(scratch, task);
    } else {
      multiply_rows(scratch, task);
    }
    for (std::int64_t slot = 0; slot < task.rows; ++slot)
      store_row(scratch.tile.data() + slot * plan_.tile_columns, task.first_row + slot, first_column, columns,
                part);
  }

  void multiply_rows(Scratch& scratch, const Task& task) {
    const std::int64_t blocks = weights_.blocks();
    const int first = static_cast<int>(task.first_step / blocks);
    const int last = static_cast<int>(divide_up(task.last_step, blocks));
    const std::int32_t* indices = problem_.map->indices();
    if (is_masked(plan_.algorithm)) {
      scratch.pairs.collect_masked(indices, problem_.volume(), task.first_row, task.rows, first, last);
    } else {
      scratch.pairs.collect_all(indices, problem_.volume(), task.first_row, task.rows, first, last);
    }
    for (int v = first; v < last; ++v) multiply_offset(scratch, task, v, scratch.pairs.list(v));
  }

  void multiply_inverse(Scratch& scratch, const Task& task) {
    const std::int64_t blocks = weights_.blocks();
    const int last = static_cast<int>(divide_up(task.last_step, blocks));
    for (int v = static_cast<int>(task.first_step / blocks); v < last; ++v) {
      scratch.pairs.collect_inverse(*inverse_, task.first_row, task.rows, v, is_masked(plan_.algorithm),
                                    [&](const PairList& list) { multiply_offset(scratch, task, v, list); });
    }
  }

  /// Adds the products of one offset's pairs to the tile, for those channel blocks that belong to the task.
  void multiply_offset(Scratch& scratch, const Task& task, int offset, const PairList& list) {
    const std::int64_t blocks = weights_.blocks();
    const std::int64_t first_block = std::max<std::int64_t>(0, task.first_step - offset * blocks);
    const std::int64_t last_block = std::min(blocks, task.last_step - offset * blocks);
    for (std::int64_t block = first_block; block < last_block; ++block) {
      const std::int64_t channels = weights_.block_channels(block);
      const std::int64_t block_rows = std::min(most_block_rows, round_up(row_block_floats / channels, 6));
      for (std::int64_t i = 0; i < list.count; i += block_rows) {
        std::array<const float*, most_block_rows> rows;
        const std::int64_t count = std::min(block_rows, list.count - i);
        gather_rows(scratch, list.rows + i, count, block * k_block, channels, rows.data());
        for (std::int64_t panel = 0; panel < task.panels; ++panel) {
          device_.kernels.gather_gemm(rows.data(), list.slots + i, count, channels,
                                      weights_.panel(offset, block, task.first_panel + panel),
                                      scratch.tile.data() + panel * device_.kernels.panel_width,
                                      plan_.tile_columns);
        }
      }
    }
  }

  /// Pointers to the channels [first, first + channels) of input rows, as float.
  void gather_rows(Scratch& scratch, const std::int32_t* rows, std::int64_t count, std::int64_t first,
                   std::int64_t channels, const float** pointers) {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t start = rows[i] * problem_.in_channels + first;
      if (rows[i] < 0) {
        pointers[i] = zeros_.data();
      } else if (problem_.storage == DType::f32) {
        pointers[i] = static_cast<const float*>(problem_.input) + start;
        prefetch_elements(problem_.input, problem_.storage, start, channels);
      } else {
        float* converted = scratch.converted.data() + i * k_block;
        load_elements(device_.kernels, problem_.input, problem_.storage, start, channels, converted);
        pointers[i] = converted;
      }
    }
  }

  /// Finishes a row of sums, or keeps it as the part's share.
  void store_row(float* sums, std::int64_t row, std::int64_t first_column, std::int64_t columns,
                 std::int64_t part) {
    if (plan_.parts > 1) {
      const std::int64_t start = (part * problem_.rows() + row) * problem_.out_channels + first_column;
      std::copy(sums, sums + columns, partials_.data() + start);
      return;
    }
    finish_row(device_.kernels, problem_, bias_.data(), row, first_column, columns, sums);
  }

  void add_partials() {
    constexpr std::int64_t rows_per_task = 64;
    const std::int64_t columns = problem_.out_channels;
    const std::int64_t part_size = problem_.rows() * columns;
    device_.pool.parallel_for(divide_up(problem_.rows(), rows_per_task), [&](std::int64_t task, int) {
      const std::int64_t end = std::min(problem_.rows(), (task + 1) * rows_per_task);
      for (std::int64_t row = task * rows_per_task; row < end; ++row) {
        float* sums = partials_.data() + row * columns;
        for (std::int64_t part = 1; part < plan_.parts; ++part) {
          const float* addend = sums + part * part_size;
          for (std::int64_t c = 0; c < columns; ++c) sums[c] += addend[c];
        }
        finish_row(device_.kernels, problem_, bias_.data(), row, 0, columns, sums);
      }
    });
  }

  CpuDevice& device_;
  const GatherProblem& problem_;
  const GatherPlan& plan_;
  PackedWeights weights_;
  std::vector<float> zeros_;
  std::vector<float> bias_;     // zeros if there is none
  HostBuffer<float> partials_;  // [parts, rows, out_channels]
  const InverseMap* inverse_;
  std::vector<Scratch> scratch_;  // one a worker
};

}  // namespace

void run_gather_gemm(CpuDevice& device, const GatherProblem& problem, const GatherPlan& plan) {
  GatherGemm(device, problem, plan).run();
}

}  // namespace flexgemm::detail
