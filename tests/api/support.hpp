#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include <flexgemm/flexgemm.hpp>

namespace flexgemm::api_test {

/// Checks that `call` throws Error with this code, in one line that holds every one of `texts`.
template <class Call>
void check_error(ErrorCode code, std::initializer_list<std::string> texts, const Call& call) {
  try {
    call();
    FAIL_CHECK("no error was thrown; expected " << name(code));
  } catch (const Error& error) {
    const std::string message = error.what();
    CAPTURE(message);
    CHECK(std::string(name(error.code())) == name(code));
    CHECK(!message.empty());
    CHECK(message.find('\n') == std::string::npos);
    for (const std::string& text : texts) {
      CAPTURE(text);
      CHECK(message.find(text) != std::string::npos);
    }
  }
}

/// int32 [N, 4] of a list of voxels.
using Coords = std::vector<std::int32_t>;

inline ConstTensorView view_of(const Coords& coords) {
  return {coords.data(), {static_cast<std::int64_t>(coords.size() / 4), 4}};
}

/// The map as host memory; for the CPU device.
inline std::vector<std::int32_t> indices_of(const NeighborMap& map) {
  const ConstTensorView view = map.indices();
  std::vector<std::int32_t> indices(static_cast<std::size_t>(view.shape.elements()));
  if (!indices.empty()) std::memcpy(indices.data(), view.data, indices.size() * sizeof(std::int32_t));
  return indices;
}

}  // namespace flexgemm::api_test
