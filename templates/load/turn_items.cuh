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

  int count;  // of all clusters
  int position;
  int stride;

  __device__ __forceinline__ TurnItems(const PersistentGemmParameters& parameters, unsigned char*)
      : count(parameters.tiles * kColumnTiles),
        position(static_cast<int>(blockIdx.x) / Config::kCluster),
        stride(static_cast<int>(gridDim.x) / Config::kCluster),
        order_(parameters.tile_order) {}

  __device__ __forceinline__ static void init(unsigned) {}

  /// The next item, or false after the last.
  __device__ __forceinline__ bool next(WorkItem& taken) {
    if (position >= count) return false;
    const int at = position / kColumnTiles;
    taken.tile = order_ != nullptr ? __ldg(order_ + at) : at;
    taken.column_tile = position % kColumnTiles;
    taken.first_channel = taken.column_tile * Config::kColumnTile;
    position += stride;
    return true;
  }

 private:
  const int* order_;
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
