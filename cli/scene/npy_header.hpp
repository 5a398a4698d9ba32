#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "scene/scalar_type.hpp"

namespace flexgemm::scene {

/// What stands before the data of a .npy file (NumPy's format, versions 1.0, 2.0 and 3.0).
struct NpyHeader {
  std::string descr;  ///< as written: "<f4", or the text of a structured type
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
  std::size_t data_offset = 0;
};

/// A header is at most this long here (NumPy itself refuses more than 10,000 by default).
inline constexpr std::size_t max_npy_header_bytes = 65536;

/// Parses the header from the first bytes of a file. Error{io} when it is damaged or cut short.
NpyHeader parse_npy_header(std::span<const std::uint8_t> bytes, const std::string& source);

/// The memory layout of a point array, checked: two dimensions, at least three columns, a number type.
struct NpyPointLayout {
  ScalarType type;
  std::endian order;
  std::int64_t points;
  std::int64_t columns;
  std::uint64_t data_bytes;  ///< what the header asks for; not yet compared with the file
};
NpyPointLayout npy_point_layout(const NpyHeader& header, const std::string& source);

/// "(10, 3)".
std::string shape_text(const std::vector<std::int64_t>& shape);

}  // namespace flexgemm::scene
