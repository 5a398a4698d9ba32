#include "tune/output.hpp"

#include <cmath>

#include "common/terminal.hpp"

namespace flexgemm::tune {

void print_json(const Json& object) {
  cli::print(object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

Json extent_json(const Extent3& extent) { return Json::array({extent.x, extent.y, extent.z}); }

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json layer_json(const LayerRequest& layer) {
  Json object{{"op", name(layer.op)},
              {"in_channels", layer.conv.in_channels},
              {"out_channels", layer.conv.out_channels},
              {"kernel", extent_json(layer.conv.kernel)},
              {"dtype", name(layer.conv.dtype)},
              {"voxels", layer.voxels},
              {"dilation", extent_json(layer.dilation)},
              {"epilogue", epilogue_text(layer)},
              {"algorithm", name(layer.conv.algorithm)}};
  if (layer.pairs_per_voxel) object["pairs_per_voxel"] = *layer.pairs_per_voxel;
  return object;
}

PassDescription description_of(const LayerRequest& layer) {
  return {.op = layer.op,
          .conv = layer.conv,
          .rows = layer.voxels,
          .pairs_per_row = layer.pairs_per_voxel.value_or(0),
          .bias = layer.bias};
}

}  // namespace flexgemm::tune
