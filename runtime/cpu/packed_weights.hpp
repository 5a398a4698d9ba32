#pragma once

#include <cstdint>

#include "cpu/algorithm_plan.hpp"
#include "cpu/cpu_device.hpp"
#include "cpu/gather_problem.hpp"
#include "cpu/host_buffer.hpp"
#include "cpu/storage.hpp"

namespace flexgemm::detail {

/// The weights of a GatherProblem as float, in the order the inner loop reads them:
/// [offset][block of k_block channels][panel][channel of the block][panel_width], columns padded with zeros.
class PackedWeights {
 public:
  PackedWeights(CpuDevice& device, const GatherProblem& problem);

  /// Panel that holds the columns panel * panel_width ..., for the channels block * k_block ... of an offset.
  const float* panel(std::int64_t offset, std::int64_t block, std::int64_t panel) const noexcept {
    return floats_.data() + start(offset, block, panel);
  }
  std::int64_t blocks() const noexcept { return divide_up(channels_, k_block); }
  /// Channels of a block: k_block, or what is left for the last.
  std::int64_t block_channels(std::int64_t block) const noexcept {
    const std::int64_t left = channels_ - block * k_block;
    return left < k_block ? left : k_block;
  }

 private:
  std::int64_t start(std::int64_t offset, std::int64_t block, std::int64_t panel) const noexcept {
    const std::int64_t before = (offset * channels_ + block * k_block) * panels_;
    return (before + panel * block_channels(block)) * width_;
  }
  void pack_panel(const GatherProblem& problem, std::int64_t offset, std::int64_t block,
                  std::int64_t panel) noexcept;

  std::int64_t channels_;
  std::int64_t width_;
  std::int64_t panels_;
  HostBuffer<float> floats_;
};

}  // namespace flexgemm::detail
