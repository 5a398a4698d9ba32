#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "tune/layer_request.hpp"

namespace flexgemm::tune {

using Json = nlohmann::ordered_json;

/// Prints one JSON object; bytes that are not UTF-8 become replacement characters.
void print_json(const Json& object);

/// The layer with the field names of a net file.
Json layer_json(const LayerRequest& layer);

/// "[3, 3, 3]" as JSON.
Json extent_json(const Extent3& extent);

/// A number, or null if there is none (JSON has no NaN).
Json number_or_null(double value);

/// What the library calls this layer when no GPU is at hand.
PassDescription description_of(const LayerRequest& layer);

}  // namespace flexgemm::tune
