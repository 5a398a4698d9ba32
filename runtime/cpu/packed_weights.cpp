#include "cpu/packed_weights.hpp"

#include <algorithm>

namespace flexgemm::detail {

PackedWeights::PackedWeights(CpuDevice& device, const GatherProblem& problem)
    : channels_(problem.in_channels),
      width_(device.kernels.panel_width),
      panels_(divide_up(problem.out_channels, width_)),
      floats_(device.memory, problem.volume() * channels_ * panels_ * width_) {
  device.pool.parallel_for(problem.volume() * panels_, [&](std::int64_t task, int) {
    for (std::int64_t block = 0; block < blocks(); ++block)
      pack_panel(problem, task / panels_, block, task % panels_);
  });
}

void PackedWeights::pack_panel(const GatherProblem& problem, std::int64_t offset, std::int64_t block,
                               std::int64_t panel) noexcept {
  float* target = floats_.data() + start(offset, block, panel);
  const std::int64_t count = block_channels(block);
  const std::int64_t columns = std::min(width_, problem.out_channels - panel * width_);
  std::fill(target, target + count * width_, 0.0F);
  for (std::int64_t k = 0; k < count; ++k) {
    for (std::int64_t c = 0; c < columns; ++c) {
      const std::int64_t index = problem.weight_index(offset, block * k_block + k, panel * width_ + c);
      target[k * width_ + c] = load_element(problem.weight, problem.storage, index);
    }
  }
}

}  // namespace flexgemm::detail
