#pragma once

#include <memory>

#include "core/frames.hpp"
#include "cpu/cpu_device.hpp"
#include "cpu/cpu_map.hpp"

namespace flexgemm::detail {

/// The map that a FrameMap of the CPU shows: as many rows as its capacity, of which the first are those of
/// the map that was built last.
class CpuFrameRows final : public MapData {
 public:
  CpuFrameRows(const std::shared_ptr<CpuDevice>& cpu, const FrameMapArguments& arguments);

  std::int64_t pairs() const override { return current_->pairs(); }
  const std::int32_t* indices() const override { return indices_.data(); }
  bool is_frame() const noexcept override { return true; }
  /// The map of the last frame; of no rows before the first.
  const CpuMap& current() const noexcept { return *current_; }
  void replace(std::shared_ptr<const CpuMap> map);

 private:
  HostBuffer<std::int32_t> indices_;  // [rows, V], -1 behind the frame's
  std::shared_ptr<const CpuMap> current_;
};

/// The CpuMap that passes over `map` run on.
const CpuMap& cpu_map(const MapData& map);

std::shared_ptr<const FrameMapData> make_cpu_frame_map(std::shared_ptr<CpuDevice> cpu,
                                                       const FrameMapArguments& arguments);
std::shared_ptr<const VoxelizerData> make_cpu_voxelizer(const VoxelizerOptions& options);

}  // namespace flexgemm::detail
