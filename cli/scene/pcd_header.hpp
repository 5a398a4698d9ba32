#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "scene/scalar_type.hpp"

namespace flexgemm::scene {

struct PcdField {
  std::string name;
  ScalarType type = ScalarType::f32;
  std::int64_t count = 1;  ///< values a point
  int column = -1;         ///< of the first value in the point cloud; -1 for padding, the field `_`

  /// A colour that PCL packs into the bits of one 4-byte value, 0xAARRGGBB: as a float it would be noise, and
  /// with full alpha often NaN. It becomes three columns, red, green and blue, 0 to 255.
  bool is_packed_color() const noexcept {
    return (name == "rgb" || name == "rgba") && count == 1 && size_of(type) == 4;
  }
  /// Columns of the point cloud that the field fills.
  std::int64_t columns() const noexcept { return is_packed_color() ? 3 : count; }
  std::uint64_t bytes() const noexcept { return static_cast<std::uint64_t>(count) * size_of(type); }
};

enum class PcdEncoding : std::uint8_t { ascii, binary, binary_compressed };

struct PcdHeader {
  PcdEncoding encoding = PcdEncoding::ascii;
  std::vector<PcdField> fields;
  std::int64_t points = 0;
  int columns = 3;
  std::size_t data_offset = 0;

  std::uint64_t row_bytes() const noexcept;
  std::uint64_t row_values() const noexcept;
};

/// Parses the header of a Point Cloud Library file, versions 0.5 to 0.7, and gives the fields their columns:
/// x, y, z, then the others in order. Error{io} with the entry that is wrong.
PcdHeader parse_pcd_header(std::span<const std::uint8_t> bytes, const std::string& source);

}  // namespace flexgemm::scene
