#pragma once

#include <cstddef>
#include <cstdint>

namespace flexgemm::detail {

// The host's side of templates/parameters.cuh, where the members are explained: same members, same order.

struct ImplicitGemmParameters {
  const void* feats;
  const void* weight;
  const void* bias;
  void* output;
  const std::int32_t* order;
  const std::int64_t* tile_begin;
  const std::int32_t* step_offset;
  const std::int32_t* step_rows;
  const std::int32_t* tile_order;
  const void* residual = nullptr;
  const float* scale = nullptr;
  const float* shift = nullptr;
  std::int64_t rows;
  std::int32_t tiles;
  std::int32_t splits;
};
static_assert(sizeof(ImplicitGemmParameters) == 112);
static_assert(offsetof(ImplicitGemmParameters, output) == 24);
static_assert(offsetof(ImplicitGemmParameters, tile_begin) == 40);
static_assert(offsetof(ImplicitGemmParameters, tile_order) == 64);
static_assert(offsetof(ImplicitGemmParameters, residual) == 72);
static_assert(offsetof(ImplicitGemmParameters, rows) == 96);
static_assert(offsetof(ImplicitGemmParameters, tiles) == 104);
static_assert(offsetof(ImplicitGemmParameters, splits) == 108);

struct alignas(64) TensorMap {
  std::uint64_t words[16];
};

struct PersistentGemmParameters {
  TensorMap weight;
  const void* feats;
  const void* bias;
  void* output;
  float* sums;
  const std::int32_t* order;
  const std::int64_t* tile_begin;
  const std::int32_t* step_offset;
  const std::int32_t* step_rows;
  const std::int32_t* tile_order;
  std::int32_t* counters;
  const void* residual = nullptr;
  const float* scale = nullptr;
  const float* shift = nullptr;
  std::int64_t rows;
  std::int32_t tiles;
  std::int32_t tiles_per_group;
  std::int32_t mirrored = 0;
};
static_assert(sizeof(PersistentGemmParameters) == 256);
static_assert(offsetof(PersistentGemmParameters, feats) == 128);
static_assert(offsetof(PersistentGemmParameters, sums) == 152);
static_assert(offsetof(PersistentGemmParameters, tile_order) == 192);
static_assert(offsetof(PersistentGemmParameters, residual) == 208);
static_assert(offsetof(PersistentGemmParameters, rows) == 232);
static_assert(offsetof(PersistentGemmParameters, tiles_per_group) == 244);
static_assert(offsetof(PersistentGemmParameters, mirrored) == 248);

struct GatherRowsParameters {
  const void* feats;
  const std::int32_t* indices;
  void* gathered;
  std::int64_t first_row;
  std::int64_t rows;
};
static_assert(sizeof(GatherRowsParameters) == 40);
static_assert(offsetof(GatherRowsParameters, first_row) == 24);
static_assert(offsetof(GatherRowsParameters, rows) == 32);

struct ReducePartialsParameters {
  const float* partials;
  const void* bias;
  void* output;
  const void* residual = nullptr;
  const float* scale = nullptr;
  const float* shift = nullptr;
  const std::int32_t* live_rows = nullptr;
  std::int64_t rows;
  std::int32_t splits;
  std::int32_t unused;
};
static_assert(sizeof(ReducePartialsParameters) == 72);
static_assert(offsetof(ReducePartialsParameters, residual) == 24);
static_assert(offsetof(ReducePartialsParameters, rows) == 56);
static_assert(offsetof(ReducePartialsParameters, splits) == 64);

struct TransposeWeightsParameters {
  const void* weight;
  void* transposed;
  std::int32_t mirrored;
  std::int32_t unused;
};
static_assert(sizeof(TransposeWeightsParameters) == 24);
static_assert(offsetof(TransposeWeightsParameters, mirrored) == 16);

struct GradWeightParameters {
  const void* feats;
  const void* grad_out;
  void* output;
  const std::int32_t* pairs;
  const std::int32_t* parts;
  const std::int32_t* share_begin;
  std::int32_t accumulate;
  std::int32_t unused;
};
static_assert(sizeof(GradWeightParameters) == 56);
static_assert(offsetof(GradWeightParameters, share_begin) == 40);
static_assert(offsetof(GradWeightParameters, accumulate) == 48);

struct ResidentGradWeightParameters {
  const void* feats;
  const void* grad_out;
  float* output;
  const std::int32_t* order = nullptr;
  const std::uint32_t* masks = nullptr;
  const std::uint16_t* locals = nullptr;
  const std::int32_t* phase_begin = nullptr;
  const std::uint32_t* phase_offsets = nullptr;
  const std::int64_t* input_begin = nullptr;
  const std::uint32_t* inputs = nullptr;
  std::int32_t blocks;
  std::int32_t parts;
};
static_assert(sizeof(ResidentGradWeightParameters) == 88);
static_assert(offsetof(ResidentGradWeightParameters, output) == 16);
static_assert(offsetof(ResidentGradWeightParameters, inputs) == 72);
static_assert(offsetof(ResidentGradWeightParameters, blocks) == 80);

struct ResidentGemmParameters {
  const void* feats;
  const void* weight;
  const void* bias;
  void* output;
  const std::int32_t* order = nullptr;
  const std::uint32_t* masks = nullptr;
  const std::uint16_t* locals = nullptr;
  const std::int32_t* phase_begin = nullptr;
  const std::uint32_t* phase_offsets = nullptr;
  const std::int64_t* input_begin = nullptr;
  const std::uint32_t* inputs = nullptr;
  const void* residual = nullptr;
  const float* scale = nullptr;
  const float* shift = nullptr;
  std::int64_t rows;
};
static_assert(sizeof(ResidentGemmParameters) == 120);
static_assert(offsetof(ResidentGemmParameters, order) == 32);
static_assert(offsetof(ResidentGemmParameters, inputs) == 80);
static_assert(offsetof(ResidentGemmParameters, rows) == 112);

struct ReduceGradientParameters {
  const float* partials;
  const std::int32_t* part_range;
  void* output;
  std::int32_t accumulate;
  std::int32_t group_parts;
};
static_assert(sizeof(ReduceGradientParameters) == 32);
static_assert(offsetof(ReduceGradientParameters, output) == 16);

}  // namespace flexgemm::detail
