#pragma once

#include <cstdint>
#include <memory>

#include <flexgemm/frame_map.hpp>
#include <flexgemm/voxelizer.hpp>

namespace flexgemm::detail {

class MapData;

/// A backend's FrameMap. Arguments of calls have been checked by the core.
class FrameMapData {
 public:
  virtual ~FrameMapData() = default;
  virtual std::shared_ptr<const MapData> map() const = 0;
  virtual void build(const std::int32_t* coords, const std::int32_t* count, Stream stream) const = 0;
  virtual FrameStatus status(Stream stream) const = 0;
  virtual void reset_status(Stream stream) const = 0;
};

struct FrameMapArguments {
  std::int64_t capacity;  // >= 1
  Grid grid;
  FrameMapOptions options;
};

struct VoxelizerArguments {
  const float* points;  // [max_points, columns]
  const std::int32_t* point_count;
  std::int32_t* coords;  // [max_voxels, 4]
  void* feats;           // [max_voxels, columns]
  std::int32_t* voxel_count;
};

/// A backend's Voxelizer.
class VoxelizerData {
 public:
  explicit VoxelizerData(const VoxelizerOptions& options_) : options(options_) {}
  virtual ~VoxelizerData() = default;
  virtual void run(const VoxelizerArguments& arguments, Stream stream) const = 0;
  virtual bool overflowed(Stream stream) const = 0;
  virtual void reset(Stream stream) const = 0;

  const VoxelizerOptions options;

 protected:
  /// Cells of the grid: below 2^62.
  std::uint64_t cells() const noexcept {
    return static_cast<std::uint64_t>(options.grid.x) * static_cast<std::uint64_t>(options.grid.y) *
           static_cast<std::uint64_t>(options.grid.z);
  }
};

}  // namespace flexgemm::detail
