#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "scene/scalar_type.hpp"

namespace flexgemm::scene {

struct PlyProperty {
  std::string name;
  ScalarType type = ScalarType::f32;
  std::optional<ScalarType> length_type;  ///< set for a list: the type of its length
};

struct PlyElement {
  std::string name;
  std::int64_t count = 0;
  std::vector<PlyProperty> properties;

  bool has_list() const noexcept;
  /// Bytes of a row in a binary file; the least that is possible if there are lists.
  std::uint64_t row_bytes() const noexcept;
};

enum class PlyEncoding : std::uint8_t { ascii, little_endian, big_endian };

struct PlyHeader {
  PlyEncoding encoding = PlyEncoding::ascii;
  std::vector<PlyElement> elements;
  std::size_t data_offset = 0;
};

/// Parses the header of a PLY 1.0 file. Error{io} with the line that is wrong.
PlyHeader parse_ply_header(std::span<const std::uint8_t> bytes, const std::string& source);

}  // namespace flexgemm::scene
