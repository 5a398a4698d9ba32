#include "cuda/persistent_gemm.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "cuda/device_array.hpp"
#include "cuda/driver.hpp"

namespace flexgemm::detail {

namespace {

CUtensorMapDataType tensor_map_type(codegen::ElementType type) {
  switch (type) {
    case codegen::ElementType::f16:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
    case codegen::ElementType::bf16:
      return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
    case codegen::ElementType::f32:
    case codegen::ElementType::tf32:
      break;
  }
  return CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
}

/// The weights as the copy engine sees them: [Co, V, Ci] with boxes of one K tile of one offset for a column
/// tile of output channels; MN-major [Ci, V, Co], 64 output channels a box. What lies beyond Ci or Co is read
/// as zeros. In a recording any address will do.
TensorMap weight_map(const codegen::KernelSpec& spec, const void* weight, const LaunchTarget& target) {
  constexpr std::uintptr_t any_address = 4096;
  if (target.recorder() != nullptr) {
    target.recorder()->record_tensor_map(weight);
    weight = reinterpret_cast<const void*>(any_address);
  }
  constexpr int mn_major_columns = 64;  // templates/mma/mn_major_weight.cuh
  const bool mn_major = spec.weight_major == codegen::WeightMajor::mn;
  const auto channels = static_cast<cuuint64_t>(mn_major ? spec.out_channels : spec.in_channels);
  const auto rows = static_cast<cuuint64_t>(mn_major ? spec.in_channels : spec.out_channels);
  const auto volume = static_cast<cuuint64_t>(spec.volume);
  const auto element = static_cast<cuuint64_t>(codegen::storage_bytes(spec.compute));
  const std::array<cuuint64_t, 3> sizes{channels, volume, rows};
  const std::array<cuuint64_t, 2> strides{channels * element, volume * channels * element};
  const std::array<cuuint32_t, 3> box{
      static_cast<cuuint32_t>(mn_major ? mn_major_columns : spec.k_tile), 1,
      static_cast<cuuint32_t>(mn_major ? spec.k_tile : spec.column_tile / spec.cluster)};
  const std::array<cuuint32_t, 3> every{1, 1, 1};
  CUtensorMap encoded;
  // The driver takes a pointer to what may be written; kernels only read through this map.
  FLEXGEMM_DRIVER(cuTensorMapEncodeTiled, &encoded, tensor_map_type(spec.compute), 3,
                  const_cast<void*>(weight), sizes.data(), strides.data(), box.data(), every.data(),
                  CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                  CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  TensorMap map;
  static_assert(sizeof(map) == sizeof(encoded));
  std::memcpy(&map, &encoded, sizeof(map));
  return map;
}

/// Counters by which blocks claim work, and what chained groups share.
struct Workspace {
  DeviceArray<std::int32_t> counters;
  DeviceArray<float> sums;

  Workspace(const PassRun& run, const Kernel& kernel, const TileLayout& layout, std::int64_t rows) {
    const bool chained = kernel.spec().output == codegen::OutputType::chained;
    const std::int64_t count = 1 + (chained ? layout.groups * kernel.shape().column_tiles : 0);
    counters = DeviceArray<std::int32_t>(run.memory(), count, run.stream);
    fill_words(run.stream, counters.data(), 0, static_cast<std::size_t>(count));
    if (chained) {
      sums = DeviceArray<float>(run.memory(), rows * kernel.spec().out_channels, run.stream);
    }
  }
};

}  // namespace

void launch_persistent(const PassRun& run, const Kernel& kernel, const TileLayout& layout,
                       const PersistentGemm& gemm) {
  const codegen::KernelSpec& spec = kernel.spec();
  const Workspace workspace(run, kernel, layout, gemm.rows);
  const PersistentGemmParameters parameters{
      .weight = weight_map(spec, gemm.weight, run.stream),
      .feats = gemm.feats,
      .bias = spec.output == codegen::OutputType::partial ? nullptr : gemm.bias,
      .output = gemm.output,
      .sums = workspace.sums.data(),
      .order = layout.order,
      .tile_begin = layout.tile_begin.data(),
      .step_offset = layout.step_offset.data(),
      .step_rows = layout.step_rows.data(),
      .tile_order = layout.tile_order.data(),
      .counters = workspace.counters.data(),
      .residual = gemm.residual,
      .scale = run.pass.epilogue.scale,
      .shift = run.pass.epilogue.shift,
      .rows = gemm.rows,
      .tiles = static_cast<std::int32_t>(layout.tiles),
      .tiles_per_group = static_cast<std::int32_t>(layout.tiles_per_group),
      .mirrored = gemm.mirrored ? 1 : 0};
  const std::int64_t items = layout.tiles * kernel.shape().column_tiles;
  const std::int64_t resident = std::int64_t{run.device().properties().multiprocessors} * spec.min_blocks;
  const std::int64_t clusters = std::min(items, resident / spec.cluster);
  kernel.launch(clusters * spec.cluster, 1, parameters, run.stream);
}

}  // namespace flexgemm::detail
