#pragma once

#include "load/step_ring.cuh"

namespace flexgemm {

/// Rows of feats that the step ring names: the gathered operand, [row_tile, K].
template <class Config>
struct GatheredRows {
  using Storage = typename Config::Storage;
  const Storage* feats;
  const StepRing<Config>& ring;

  struct Line {
    const int* rows;  // input row of every slot at this step, in shared memory
    const Storage* base;
  };

  __device__ __forceinline__ Line line(int step, int channel, bool valid) const {
    return {ring.rows + (valid ? step % StepRing<Config>::kSlots : 0) * Config::kRowTile, feats + channel};
  }

  __device__ __forceinline__ const void* address(const Line& line, int slot, bool& valid) const {
    const int row = line.rows[slot];
    valid = valid && row >= 0;
    return valid ? line.base + static_cast<long long>(row) * Config::kInChannels : feats;
  }
};

/// Rows of the weights [Co, V, Ci] at the kernel offset of a step: the dense operand, [column_tile, K].
template <class Config>
struct WeightRows {
  using Storage = typename Config::Storage;
  const Storage* weight;
  const StepRing<Config>& ring;
  int first_channel;  // output channel of the tile's row 0

  struct Line {
    const Storage* base;
  };

  __device__ __forceinline__ Line line(int step, int channel, bool valid) const {
    const int offset = valid ? ring.offset(step) : 0;
    return {weight + static_cast<long long>(offset) * Config::kInChannels + channel};
  }

  __device__ __forceinline__ const void* address(const Line& line, int row, bool& valid) const {
    constexpr long long kPitch = static_cast<long long>(Config::kVolume) * Config::kInChannels;
    const int channel = first_channel + row;
    valid = valid && (Config::kOutChannels % Config::kColumnTile == 0 || channel < Config::kOutChannels);
    return valid ? line.base + channel * kPitch : weight;
  }
};

}  // namespace flexgemm
