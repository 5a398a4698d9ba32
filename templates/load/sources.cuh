#pragma once

#include "load/step_ring.cuh"
#include "ptx/copy.cuh"

namespace flexgemm {

/// Rows of feats that the step ring names: the gathered operand, [row_tile, K].
template <class Config>
struct GatheredRows {
  using Storage = typename Config::Storage;
  const Storage* feats;
  const StepRing<Config>& ring;

  struct Line {
    const int* rows;  // input row of every slot at this step, in shared memory
    const void* base;
  };

  __device__ __forceinline__ Line line(int step, int channel, bool valid) const {
    return {ring.rows + (valid ? step % StepRing<Config>::kSlots : 0) * Config::kRowTile,
            whole_address(feats + channel)};
  }

  __device__ __forceinline__ static int row(const Line& line, int slot) { return line.rows[slot]; }
  __device__ __forceinline__ static const void* address(const Line& line, int row) {
    return row_address<static_cast<long long>(Config::kInChannels) * sizeof(Storage)>(line.base, row);
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
    const void* base;
  };

  __device__ __forceinline__ Line line(int step, int channel, bool valid) const {
    const int offset = valid ? ring.offset(step) : 0;
    return {whole_address(weight + static_cast<long long>(offset) * Config::kInChannels + channel)};
  }

  __device__ __forceinline__ int row(const Line&, int row) const {
    const int channel = first_channel + row;
    return Config::kOutChannels % Config::kColumnTile == 0 || channel < Config::kOutChannels ? channel : -1;
  }
  __device__ __forceinline__ static const void* address(const Line& line, int row) {
    return row_address<static_cast<long long>(Config::kVolume) * Config::kInChannels * sizeof(Storage)>(
        line.base, row);
  }
};

}  // namespace flexgemm
