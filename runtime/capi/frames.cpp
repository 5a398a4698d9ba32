#include <algorithm>

#include <flexgemm/flexgemm.h>
#include <flexgemm/flexgemm.hpp>

#include "capi/convert.hpp"
#include "capi/handles.hpp"
#include "capi/structs.hpp"

using namespace flexgemm;
using namespace flexgemm::capi;

namespace {

VoxelizerOptions to_options(const flexgemm_voxelizer_options* options) {
  const flexgemm_voxelizer_options given = read_struct(options, "options");
  require_reserved(given.reserved, "options");
  VoxelizerOptions result;
  result.max_points = given.max_points;
  result.max_voxels = given.max_voxels;
  if (given.columns != 0) result.columns = given.columns;
  std::copy_n(given.low, 3, result.low.begin());
  const bool default_size =
      std::all_of(given.voxel_size, given.voxel_size + 3, [](float s) { return s == 0; });
  if (!default_size) std::copy_n(given.voxel_size, 3, result.voxel_size.begin());
  result.grid = {.batch = 1, .x = given.extent[0], .y = given.extent[1], .z = given.extent[2]};
  result.dtype = to_dtype(given.dtype, "options->dtype");
  return result;
}

}  // namespace

flexgemm_status flexgemm_frame_map_create(const flexgemm_context* context, int64_t capacity,
                                          const flexgemm_grid* grid,
                                          const flexgemm_frame_map_options* options, void* stream,
                                          flexgemm_frame_map** frames) {
  return guarded([&] {
    require_target(frames, "frames");
    require_pointer(context, "context");
    const flexgemm_grid extents = read_struct(grid, "grid");
    const flexgemm_frame_map_options given = read_optional_struct(options, "options");
    require_reserved(given.reserved, "options");
    *frames = new flexgemm_frame_map{
        {context->allocator,
         context->object.frame_map(capacity,
                                   {.batch = extents.batch, .x = extents.x, .y = extents.y, .z = extents.z},
                                   {.kernel = to_extents(given.kernel, 3),
                                    .dilation = to_extents(given.dilation, 1),
                                    .unique = given.duplicates == 0,
                                    .pairs_per_row = given.pairs_per_row},
                                   to_stream(stream))}};
  });
}

void flexgemm_frame_map_destroy(flexgemm_frame_map* frames) { delete frames; }

flexgemm_status flexgemm_frame_map_get_map(const flexgemm_frame_map* frames, flexgemm_map** map) {
  return guarded([&] {
    require_target(map, "map");
    require_pointer(frames, "frames");
    *map = new flexgemm_map{{frames->allocator, frames->object.map()}};
  });
}

flexgemm_status flexgemm_frame_map_build(const flexgemm_frame_map* frames, const flexgemm_tensor* coords,
                                         const flexgemm_tensor* count, void* stream) {
  return guarded([&] {
    require_pointer(frames, "frames");
    frames->object.build(to_view(coords, "coords"), to_view(count, "count"), to_stream(stream));
  });
}

flexgemm_status flexgemm_frame_map_get_status(const flexgemm_frame_map* frames, void* stream,
                                              flexgemm_frame_status* status) {
  return guarded([&] {
    require_pointer(frames, "frames");
    require_pointer(status, "status");
    const FrameStatus known = frames->object.status(to_stream(stream));
    write_struct(status, {0, known.rows, known.pairs, known.wanted, known.overflow ? 1 : 0, 0}, "status");
  });
}

flexgemm_status flexgemm_frame_map_reset_status(const flexgemm_frame_map* frames, void* stream) {
  return guarded([&] {
    require_pointer(frames, "frames");
    frames->object.reset_status(to_stream(stream));
  });
}

flexgemm_status flexgemm_voxelizer_create(const flexgemm_context* context,
                                          const flexgemm_voxelizer_options* options, void* stream,
                                          flexgemm_voxelizer** voxelizer) {
  return guarded([&] {
    require_target(voxelizer, "voxelizer");
    require_pointer(context, "context");
    *voxelizer = new flexgemm_voxelizer{
        {context->allocator, context->object.voxelizer(to_options(options), to_stream(stream))}};
  });
}

void flexgemm_voxelizer_destroy(flexgemm_voxelizer* voxelizer) { delete voxelizer; }

flexgemm_status flexgemm_voxelizer_run(const flexgemm_voxelizer* voxelizer, const flexgemm_tensor* points,
                                       const flexgemm_tensor* point_count, const flexgemm_tensor* coords,
                                       const flexgemm_tensor* feats, const flexgemm_tensor* voxel_count,
                                       void* stream) {
  return guarded([&] {
    require_pointer(voxelizer, "voxelizer");
    voxelizer->object.run(to_view(points, "points"), to_view(point_count, "point_count"),
                          to_view(coords, "coords"), to_view(feats, "feats"),
                          to_view(voxel_count, "voxel_count"), to_stream(stream));
  });
}

flexgemm_status flexgemm_voxelizer_get_overflow(const flexgemm_voxelizer* voxelizer, void* stream,
                                                int32_t* overflow) {
  return guarded([&] {
    require_pointer(overflow, "overflow");
    require_pointer(voxelizer, "voxelizer");
    *overflow = voxelizer->object.overflowed(to_stream(stream)) ? 1 : 0;
  });
}

flexgemm_status flexgemm_voxelizer_reset(const flexgemm_voxelizer* voxelizer, void* stream) {
  return guarded([&] {
    require_pointer(voxelizer, "voxelizer");
    voxelizer->object.reset(to_stream(stream));
  });
}
