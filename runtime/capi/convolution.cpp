#include <flexgemm/flexgemm.h>
#include <flexgemm/flexgemm.hpp>

#include "capi/convert.hpp"
#include "capi/handles.hpp"
#include "capi/structs.hpp"

using namespace flexgemm;
using namespace flexgemm::capi;

flexgemm_status flexgemm_submanifold_map_create(const flexgemm_context* context,
                                                const flexgemm_tensor* coords, const flexgemm_grid* grid,
                                                const flexgemm_submanifold_options* options, void* stream,
                                                flexgemm_map** map) {
  return guarded([&] {
    require_target(map, "map");
    require_pointer(context, "context");
    require_pointer(coords, "coords");
    const flexgemm_grid extents = read_struct(grid, "grid");
    const flexgemm_submanifold_options given = read_optional_struct(options, "options");
    require_reserved(given.reserved, "options");
    *map = new flexgemm_map{
        {context->allocator, context->object.submanifold_map(
                                 to_view(coords, "coords"),
                                 {.batch = extents.batch, .x = extents.x, .y = extents.y, .z = extents.z},
                                 {.kernel = to_extents(given.kernel, 3),
                                  .dilation = to_extents(given.dilation, 1),
                                  .checked = given.unchecked == 0},
                                 to_stream(stream))}};
  });
}

flexgemm_status flexgemm_map_copy(const flexgemm_map* map, flexgemm_map** copy) {
  return guarded([&] {
    require_target(copy, "copy");
    require_pointer(map, "map");
    *copy = new flexgemm_map(*map);
  });
}

void flexgemm_map_destroy(flexgemm_map* map) { delete map; }

flexgemm_status flexgemm_map_get_info(const flexgemm_map* map, flexgemm_map_info* info) {
  return guarded([&] {
    require_pointer(map, "map");
    const Extent3 kernel = map->object.kernel();
    const Extent3 dilation = map->object.dilation();
    write_struct(info,
                 {0,
                  map->object.rows(),
                  map->object.volume(),
                  {kernel.x, kernel.y, kernel.z},
                  {dilation.x, dilation.y, dilation.z}},
                 "info");
  });
}

flexgemm_status flexgemm_map_get_pairs(const flexgemm_map* map, int64_t* pairs) {
  return guarded([&] {
    require_pointer(pairs, "pairs");
    require_pointer(map, "map");
    *pairs = map->object.pairs();
  });
}

flexgemm_status flexgemm_map_get_indices(const flexgemm_map* map, flexgemm_tensor* indices) {
  return guarded([&] {
    require_pointer(map, "map");
    write_struct(indices, from_view(map->object.indices()), "indices");
  });
}

flexgemm_status flexgemm_conv3d_create(const flexgemm_context* context,
                                       const flexgemm_conv3d_options* options, flexgemm_conv3d** conv) {
  return guarded([&] {
    require_target(conv, "conv");
    require_pointer(context, "context");
    *conv = new flexgemm_conv3d{
        {context->allocator, context->object.conv3d(to_conv_options(options, "options"))}};
  });
}

void flexgemm_conv3d_destroy(flexgemm_conv3d* conv) { delete conv; }

flexgemm_status flexgemm_conv3d_forward(const flexgemm_conv3d* conv, const flexgemm_map* map,
                                        const flexgemm_tensor* feats, const flexgemm_tensor* weight,
                                        const flexgemm_tensor* bias, const flexgemm_tensor* out,
                                        void* stream) {
  return guarded([&] {
    require_pointer(conv, "conv");
    require_pointer(map, "map");
    conv->object.forward(map->object, to_view(feats, "feats"), to_view(weight, "weight"),
                         to_view(bias, "bias"), to_view(out, "out"), to_stream(stream));
  });
}

flexgemm_status flexgemm_conv3d_forward_fused(const flexgemm_conv3d* conv, const flexgemm_map* map,
                                              const flexgemm_tensor* feats, const flexgemm_tensor* weight,
                                              const flexgemm_tensor* out, const flexgemm_operands* operands,
                                              void* stream) {
  return guarded([&] {
    require_pointer(conv, "conv");
    require_pointer(map, "map");
    conv->object.forward(map->object, to_view(feats, "feats"), to_view(weight, "weight"), to_view(out, "out"),
                         to_operands(operands), to_stream(stream));
  });
}

flexgemm_status flexgemm_conv3d_backward(const flexgemm_conv3d* conv, const flexgemm_map* map,
                                         const flexgemm_tensor* grad_out, const flexgemm_tensor* feats,
                                         const flexgemm_tensor* weight, const flexgemm_gradients* gradients,
                                         void* stream) {
  return guarded([&] {
    require_pointer(conv, "conv");
    require_pointer(map, "map");
    conv->object.backward(map->object, to_view(grad_out, "grad_out"), to_view(feats, "feats"),
                          to_view(weight, "weight"), to_gradients(gradients), to_stream(stream));
  });
}

flexgemm_status flexgemm_conv3d_transpose_weight(const flexgemm_conv3d* conv, const flexgemm_tensor* weight,
                                                 const flexgemm_tensor* transposed, void* stream) {
  return guarded([&] {
    require_pointer(conv, "conv");
    conv->object.transpose_weight(to_view(weight, "weight"), to_view(transposed, "transposed"),
                                  to_stream(stream));
  });
}

flexgemm_status flexgemm_conv3d_get_choice(const flexgemm_conv3d* conv, const flexgemm_map* map,
                                           flexgemm_op op, flexgemm_algorithm* algorithm, char* kernel,
                                           size_t capacity, size_t* length) {
  return guarded([&] {
    require_pointer(conv, "conv");
    require_pointer(map, "map");
    write_choice(conv->object.choice(map->object, to_op(op)), algorithm, kernel, capacity, length);
  });
}
