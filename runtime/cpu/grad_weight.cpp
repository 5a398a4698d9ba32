#include "cpu/grad_weight.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "cpu/host_buffer.hpp"
#include "cpu/tile_pairs.hpp"

namespace flexgemm::detail {

namespace {

constexpr std::int64_t tile_rows = 1024;       // rows whose pairs are collected at a time
constexpr std::int64_t pair_block = 96;        // pairs that one call of the inner loop sums
constexpr std::int64_t prefetch_distance = 8;  // pairs
constexpr std::int64_t flush_rows = 8192;      // rows summed in float before they join the totals in double

/// Memory that one worker uses for task after task.
struct Scratch {
  Scratch(DeviceMemory& memory, const WeightProblem& problem, const WeightPlan& plan)
      : pairs(memory, tile_rows, problem.map->volume()),
        sums(memory, plan.offsets_a_task * plan.along_block * plan.across_block),
        totals(memory, sums.size()),
        panels(memory, pair_block * plan.across_block),
        converted(memory, pair_block * plan.along_block) {}

  TilePairs pairs;
  HostBuffer<float> sums;       // [offsets_a_task, along_block, across_block]
  HostBuffer<double> totals;    // the same
  HostBuffer<float> panels;     // [panel, pair_block, panel_width]: vector side of a block of pairs
  HostBuffer<float> converted;  // [pair_block, along_block]: broadcast side, if it is not float in memory
};

class GradWeight {
 public:
  GradWeight(CpuDevice& device, const WeightProblem& problem, const WeightPlan& plan)
      : device_(device),
        problem_(problem),
        plan_(plan),
        across_channels_(plan.in_channels_across ? problem.in_channels : problem.out_channels),
        along_channels_(plan.in_channels_across ? problem.out_channels : problem.in_channels),
        zeros_(static_cast<std::size_t>(plan.along_block), 0.0F),
        partials_(device.memory, plan.parts == 1 ? 0 : plan.parts * elements()) {
    for (int i = 0; i < device.pool.threads(); ++i) scratch_.emplace_back(device.memory, problem, plan);
  }

  void run() {
    const std::int64_t across_blocks = divide_up(across_channels_, plan_.across_block);
    const std::int64_t along_blocks = divide_up(along_channels_, plan_.along_block);
    const std::int64_t groups = divide_up(problem_.map->volume(), plan_.offsets_a_task);
    const std::int64_t blocks = across_blocks * along_blocks * groups;
    device_.pool.parallel_for(blocks * plan_.parts, [&](std::int64_t index, int worker) {
      const std::int64_t part = index / blocks;
      const std::int64_t group = index % blocks / across_blocks / along_blocks;
      const std::int64_t first_along = index / across_blocks % along_blocks * plan_.along_block;
      const std::int64_t first_across = index % across_blocks * plan_.across_block;
      const std::int64_t last_offset =
          std::min<std::int64_t>(problem_.map->volume(), (group + 1) * plan_.offsets_a_task);
      compute({.part = part,
               .first_offset = static_cast<int>(group * plan_.offsets_a_task),
               .last_offset = static_cast<int>(last_offset),
               .first_along = first_along,
               .along = std::min(plan_.along_block, along_channels_ - first_along),
               .first_across = first_across,
               .across = std::min(plan_.across_block, across_channels_ - first_across)},
              scratch_[static_cast<std::size_t>(worker)]);
    });
    if (plan_.parts > 1) add_partials();
  }

 private:
  struct Task {
    std::int64_t part;
    int first_offset;
    int last_offset;
    std::int64_t first_along;
    std::int64_t along;
    std::int64_t first_across;
    std::int64_t across;
  };

  std::int64_t elements() const noexcept {
    return problem_.map->volume() * problem_.in_channels * problem_.out_channels;
  }

  void compute(const Task& task, Scratch& scratch) {
    const std::int64_t rows = problem_.map->rows;
    const std::int64_t begin = task.part * rows / plan_.parts;
    const std::int64_t end = (task.part + 1) * rows / plan_.parts;
    std::fill(scratch.totals.data(), scratch.totals.data() + scratch.totals.size(), 0.0);
    for (std::int64_t first = begin; first < end; first += flush_rows) {
      std::fill(scratch.sums.data(), scratch.sums.data() + scratch.sums.size(), 0.0F);
      const std::int64_t last = std::min(end, first + flush_rows);
      for (std::int64_t row = first; row < last; row += tile_rows)
        add_rows(task, scratch, row, std::min(tile_rows, last - row));
      for (std::int64_t i = 0; i < scratch.sums.size(); ++i)
        scratch.totals[i] += static_cast<double>(scratch.sums[i]);
    }
    store(task, scratch);
  }

  void add_rows(const Task& task, Scratch& scratch, std::int64_t first_row, std::int64_t rows) {
    const CpuMap& map = *problem_.map;
    if (is_masked(plan_.algorithm)) {
      scratch.pairs.collect_masked(map.indices(), map.volume(), first_row, rows, task.first_offset,
                                   task.last_offset);
    } else {
      scratch.pairs.collect_all(map.indices(), map.volume(), first_row, rows, task.first_offset,
                                task.last_offset);
    }
    for (int v = task.first_offset; v < task.last_offset; ++v) {
      const PairList list = scratch.pairs.list(v);
      float* sums = scratch.sums.data() + (v - task.first_offset) * plan_.along_block * plan_.across_block;
      for (std::int64_t i = 0; i < list.count; i += pair_block) {
        add_pairs(task, scratch, first_row,
                  {list.slots + i, list.rows + i, std::min(pair_block, list.count - i)}, sums);
      }
    }
  }

  /// sums [along_block, across_block] += the outer products of some pairs' rows.
  void add_pairs(const Task& task, Scratch& scratch, std::int64_t first_row, const PairList& list,
                 float* sums) {
    const std::int64_t width = device_.kernels.panel_width;
    const void* along = plan_.in_channels_across ? problem_.grad_out : problem_.feats;
    const void* across = plan_.in_channels_across ? problem_.feats : problem_.grad_out;
    std::array<const float*, pair_block> rows;
    for (std::int64_t p = 0; p < list.count; ++p) {
      if (p + prefetch_distance < list.count) prefetch_pair(task, first_row, list, p + prefetch_distance);
      const std::int64_t out_row = first_row + list.slots[p];
      const std::int64_t in_row = list.rows[p];
      const std::int64_t along_row = plan_.in_channels_across ? out_row : in_row;
      const std::int64_t across_row = plan_.in_channels_across ? in_row : out_row;
      rows[static_cast<std::size_t>(p)] = along_pointer(task, scratch, along, along_row, p);
      load_panels(task, scratch, across, across_row, p);
    }
    for (std::int64_t first = 0; first < task.across; first += width) {
      device_.kernels.outer_products(rows.data(), task.along, list.count,
                                     scratch.panels.data() + first * pair_block, sums + first,
                                     plan_.across_block);
    }
  }

  void prefetch_pair(const Task& task, std::int64_t first_row, const PairList& list, std::int64_t p) const {
    const std::int64_t in_row = list.rows[p];
    const std::int64_t out_row = first_row + list.slots[p];
    const bool in_across = plan_.in_channels_across;
    prefetch_elements(problem_.grad_out, problem_.storage,
                      out_row * problem_.out_channels + (in_across ? task.first_along : task.first_across),
                      in_across ? task.along : task.across);
    if (in_row < 0) return;
    prefetch_elements(problem_.feats, problem_.storage,
                      in_row * problem_.in_channels + (in_across ? task.first_across : task.first_along),
                      in_across ? task.across : task.along);
  }

  const float* along_pointer(const Task& task, Scratch& scratch, const void* source, std::int64_t row,
                             std::int64_t place) {
    if (row < 0) return zeros_.data();
    const std::int64_t start = row * along_channels_ + task.first_along;
    if (problem_.storage == DType::f32) return static_cast<const float*>(source) + start;
    float* converted = scratch.converted.data() + place * plan_.along_block;
    load_elements(device_.kernels, source, problem_.storage, start, task.along, converted);
    return converted;
  }

  void load_panels(const Task& task, Scratch& scratch, const void* source, std::int64_t row,
                   std::int64_t place) {
    const std::int64_t width = device_.kernels.panel_width;
    const std::int64_t start = row * across_channels_ + task.first_across;
    for (std::int64_t first = 0; first < task.across; first += width) {
      float* target = scratch.panels.data() + first * pair_block + place * width;
      const std::int64_t count = row < 0 ? 0 : std::min(width, task.across - first);
      load_elements(device_.kernels, source, problem_.storage, start + first, count, target);
      std::fill(target + count, target + width, 0.0F);
    }
  }

  void store(const Task& task, const Scratch& scratch) {
    for (int v = task.first_offset; v < task.last_offset; ++v) {
      for (std::int64_t i = 0; i < task.along; ++i) {
        const double* totals =
            scratch.totals.data() + ((v - task.first_offset) * plan_.along_block + i) * plan_.across_block;
        for (std::int64_t c = 0; c < task.across; ++c)
          store_total(task.part, v, task.first_along + i, task.first_across + c, totals[c]);
      }
    }
  }

  void store_total(std::int64_t part, std::int64_t v, std::int64_t along, std::int64_t across, double total) {
    const std::int64_t co = plan_.in_channels_across ? along : across;
    const std::int64_t ci = plan_.in_channels_across ? across : along;
    if (plan_.parts == 1) {
      problem_.store(co, v, ci, total);
    } else {
      const std::int64_t index = (v * problem_.out_channels + co) * problem_.in_channels + ci;
      partials_[part * elements() + index] = static_cast<float>(total);
    }
  }

  void add_partials() {
    device_.pool.parallel_for(problem_.map->volume() * problem_.out_channels, [&](std::int64_t task, int) {
      for (std::int64_t ci = 0; ci < problem_.in_channels; ++ci) {
        double sum = 0;
        for (std::int64_t part = 0; part < plan_.parts; ++part)
          sum += static_cast<double>(partials_[part * elements() + task * problem_.in_channels + ci]);
        problem_.store(task % problem_.out_channels, task / problem_.out_channels, ci, sum);
      }
    });
  }

  CpuDevice& device_;
  const WeightProblem& problem_;
  const WeightPlan& plan_;
  const std::int64_t across_channels_;
  const std::int64_t along_channels_;
  std::vector<float> zeros_;
  HostBuffer<float> partials_;    // [parts, V, out_channels, in_channels]
  std::vector<Scratch> scratch_;  // one a worker
};

}  // namespace

void run_grad_weight(CpuDevice& device, const WeightProblem& problem, const WeightPlan& plan) {
  GradWeight(device, problem, plan).run();
}

}  // namespace flexgemm::detail
