#pragma once

#include <string>
#include <vector>

#include "tune/layer_request.hpp"

namespace flexgemm::tune {

/// Reads a network's layers from a JSON file:
///
///     {"layers": [{"op": "forward", "in_channels": 32, "out_channels": 64, "kernel": [3, 3, 3],
///                  "dtype": "f16", "voxels": 100000}, ...]}
///
/// Optional: "pairs_per_voxel" (default: a surface's), "dilation" ([1, 1, 1]), "epilogue" ("none"),
/// "algorithm"
/// ("auto"). Nothing else is accepted. Throws Error{io} that names the file, the layer's position from 0 and
/// the field, in one sentence.
std::vector<LayerRequest> read_net_file(const std::string& path);

/// The same from text; `source` names it in messages.
std::vector<LayerRequest> parse_net(const std::string& text, const std::string& source);

}  // namespace flexgemm::tune
