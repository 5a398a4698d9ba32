#pragma once

#include "config.cuh"
#include "load/work_items.cuh"
#include "parameters.cuh"

namespace flexgemm {

/// Work items of clusters, in turns: cluster c of n takes the items c, c + n, c + 2n, ... Both blocks of a
/// cluster know them without a word.
template <class Config>
struct TurnItems {
  static constexpr int kColumnTiles = ceil_divide(Config::kOutChannels, Config::kColumnTile);
  static constexpr bool kClaimed = false;
  static constexpr int kBytes = 0;

  __device__ __forceinline__ TurnItems(const PersistentGemmParameters& parameters, unsigned char*)
      : parameters_(parameters),
        position_(static_cast<int>(blockIdx.x) / Config::kCluster),
        stride_(static_cast<int>(gridDim.x) / Config::kCluster) {}

  __device__ __forceinline__ static void init(unsigned) {}

  /// The next item, or false after the last.
  __device__ __forceinline__ bool next(WorkItem& taken) {
    if (position_ >= parameters_.tiles * kColumnTiles) return false;
    taken.tile = tile_at<Config>(parameters_, position_);
    taken.column_tile = position_ % kColumnTiles;
    taken.first_step = __ldg(parameters_.tile_begin + taken.tile);
    taken.steps = static_cast<int>(__ldg(parameters_.tile_begin + taken.tile + 1) - taken.first_step);
    position_ += stride_;
    return true;
  }

  __device__ __forceinline__ void begin_claim() {}
  __device__ __forceinline__ void advance_claim() {}
  __device__ __forceinline__ void end_claim() {}

 private:
  const PersistentGemmParameters& parameters_;
  int position_;
  int stride_;
};

template <class Config, bool kClustered = (Config::kCluster > 1)>
struct SelectItems {
  using type = WorkItems<Config>;
};
template <class Config>
struct SelectItems<Config, true> {
  using type = TurnItems<Config>;
};

}  // namespace flexgemm
