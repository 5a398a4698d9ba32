#include "core/frames.hpp"

#include <cmath>
#include <limits>
#include <utility>

#include <flexgemm/context.hpp>

#include "core/backend.hpp"
#include "core/fail.hpp"
#include "core/validate.hpp"

namespace flexgemm {

using namespace detail;

namespace {

void require_tensor(const char* what, const ConstTensorView& view, const Shape& shape, DType dtype) {
  require_shape(what, view, shape);
  require_type(what, view, dtype);
  require_data(what, view);
}

void require_capacity(const char* what, std::int64_t capacity) {
  if (capacity < 1 || capacity > max_rows) {
    fail(ErrorCode::invalid_argument, "{} is {}; it must lie between 1 and {}", what, capacity, max_rows);
  }
}

void require_options(const VoxelizerOptions& options) {
  require_capacity("VoxelizerOptions::max_points", options.max_points);
  require_capacity("VoxelizerOptions::max_voxels", options.max_voxels);
  if (options.columns < 3 || options.columns > 64) {
    fail(ErrorCode::invalid_argument, "VoxelizerOptions::columns is {}; points have 3 to 64",
         options.columns);
  }
  const DType dtype = storage_type(options.dtype);
  if (dtype == DType::i32) {
    fail(ErrorCode::invalid_argument, "VoxelizerOptions::dtype is i32; use f32, f16 or bf16");
  }
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const float size = options.voxel_size[axis];
    if (!(size >= std::numeric_limits<float>::min()) || !std::isfinite(size) ||
        !std::isfinite(options.low[axis])) {
      fail(
          ErrorCode::invalid_argument,
          "the voxel size along {} is {} and the lower corner {}; they must be finite, and the size positive",
          "xyz"[axis], size, options.low[axis]);
    }
  }
  const Grid& grid = options.grid;
  if (grid.batch != 1 || grid.x < 1 || grid.y < 1 || grid.z < 1 ||
      static_cast<double>(grid.x) * grid.y * grid.z >= 0x1p62) {
    fail(ErrorCode::invalid_argument,
         "the voxelizer's grid is batch {}, {}x{}x{}; it must be batch 1 with fewer than 2^62 cells",
         grid.batch, grid.x, grid.y, grid.z);
  }
}

}  // namespace

FrameMap::FrameMap(std::shared_ptr<Backend> backend, std::shared_ptr<const FrameMapData> data) noexcept
    : backend_(std::move(backend)), data_(std::move(data)) {}

NeighborMap FrameMap::map() const { return NeighborMap(data_->map()); }
std::int64_t FrameMap::capacity() const { return data_->map()->rows; }
FrameStatus FrameMap::status(Stream stream) const { return data_->status(stream); }
void FrameMap::reset_status(Stream stream) const { data_->reset_status(stream); }

void FrameMap::build(const ConstTensorView& coords, const ConstTensorView& count, Stream stream) const {
  require_tensor("coords", coords, {capacity(), 4}, DType::i32);
  require_tensor("count", count, {1}, DType::i32);
  data_->build(static_cast<const std::int32_t*>(coords.data), static_cast<const std::int32_t*>(count.data),
               stream);
}

FrameMap Context::frame_map(std::int64_t capacity, const Grid& grid, const FrameMapOptions& options,
                            Stream stream) const {
  require_kernel(options.kernel);
  require_dilation(options.dilation);
  require_capacity("the capacity of a frame map", capacity);
  require_grid(grid);
  if (!(options.pairs_per_row >= 0) || !std::isfinite(options.pairs_per_row)) {
    fail(ErrorCode::invalid_argument, "FrameMapOptions::pairs_per_row is {}; use 0 or the expected number",
         options.pairs_per_row);
  }
  return FrameMap(backend_,
                  backend_->frame_map({.capacity = capacity, .grid = grid, .options = options}, stream));
}

Voxelizer::Voxelizer(std::shared_ptr<Backend> backend, std::shared_ptr<const VoxelizerData> data) noexcept
    : backend_(std::move(backend)), data_(std::move(data)) {}

const VoxelizerOptions& Voxelizer::options() const { return data_->options; }
bool Voxelizer::overflowed(Stream stream) const { return data_->overflowed(stream); }
void Voxelizer::reset(Stream stream) const { data_->reset(stream); }

void Voxelizer::run(const ConstTensorView& points, const ConstTensorView& point_count,
                    const TensorView& coords, const TensorView& feats, const TensorView& voxel_count,
                    Stream stream) const {
  const VoxelizerOptions& options = data_->options;
  require_tensor("points", points, {options.max_points, options.columns}, DType::f32);
  require_tensor("point_count", point_count, {1}, DType::i32);
  require_tensor("coords", coords, {options.max_voxels, 4}, DType::i32);
  require_tensor("feats", feats, {options.max_voxels, options.columns}, options.dtype);
  require_tensor("voxel_count", voxel_count, {1}, DType::i32);
  for (const auto& [what, output] :
       {std::pair{"coords", &coords}, std::pair{"feats", &feats}, std::pair{"voxel_count", &voxel_count}}) {
    require_disjoint(what, *output, "points", points);
    require_disjoint(what, *output, "point_count", point_count);
  }
  data_->run({.points = static_cast<const float*>(points.data),
              .point_count = static_cast<const std::int32_t*>(point_count.data),
              .coords = static_cast<std::int32_t*>(coords.data),
              .feats = feats.data,
              .voxel_count = static_cast<std::int32_t*>(voxel_count.data)},
             stream);
}

Voxelizer Context::voxelizer(const VoxelizerOptions& options, Stream stream) const {
  require_options(options);
  return Voxelizer(backend_, backend_->voxelizer(options, stream));
}

}  // namespace flexgemm
