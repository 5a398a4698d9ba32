#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "scene/fail.hpp"
#include "scene/ply_header.hpp"
#include "scene/point_cloud.hpp"
#include "scene/text_scanner.hpp"

namespace flexgemm::scene {
namespace {

/// Which vertex property goes to which column.
struct VertexColumns {
  std::vector<int> column_of_property;  ///< -1 for lists, which are skipped
  int columns = 3;
};

VertexColumns assign_columns(const PlyElement& vertex, const std::string& source) {
  constexpr std::array<std::string_view, 3> axes{"x", "y", "z"};
  VertexColumns result;
  std::array<int, 3> found{};
  for (const PlyProperty& property : vertex.properties) {
    const auto axis = std::find(axes.begin(), axes.end(), property.name) - axes.begin();
    if (property.length_type) {
      result.column_of_property.push_back(-1);
    } else if (axis < 3) {
      result.column_of_property.push_back(static_cast<int>(axis));
      ++found[static_cast<std::size_t>(axis)];
    } else {
      result.column_of_property.push_back(result.columns++);
    }
  }
  for (std::size_t axis = 0; axis < 3; ++axis)
    if (found[axis] != 1)
      fail_input(source, "the PLY vertex element has {} scalar properties named {} and needs one",
                 found[axis], axes[axis]);
  if (result.columns > max_columns)
    fail_input(source, "the PLY vertex element has {} properties; at most {} are accepted", result.columns,
               max_columns);
  return result;
}

[[noreturn]] void fail_truncated(const PlyElement& element, std::int64_t row, std::uint64_t needed,
                                 std::uint64_t left, const std::string& source) {
  fail_input(source, "the PLY file is truncated: {} {} of {} needs {} bytes and {} are left",
             quote(element.name), row, element.count, needed, left);
}

/// Refuses a count that the rest of the file cannot hold, before memory is taken for it.
void check_count(const PlyElement& element, std::uint64_t row_bytes, std::uint64_t left,
                 const std::string& source) {
  if (row_bytes == 0 || static_cast<std::uint64_t>(element.count) <= left / row_bytes) return;
  fail_input(source,
             "the PLY header claims {} rows of {}, at least {} bytes each, and {} bytes are left: the file "
             "is truncated",
             element.count, quote(element.name), row_bytes, left);
}

/// The body of a binary file: walks elements row by row, or in one step where all rows have one size.
class BinaryBody {
 public:
  BinaryBody(std::span<const std::uint8_t> bytes, std::endian order, const std::string& source)
      : rest_(bytes), order_(order), source_(source) {}

  void skip(const PlyElement& element) {
    check_count(element, element.row_bytes(), rest_.size(), source_);
    if (!element.has_list()) {
      rest_ = rest_.subspan(static_cast<std::size_t>(element.count) * element.row_bytes());
      return;
    }
    for (std::int64_t row = 0; row < element.count; ++row)
      for (const PlyProperty& property : element.properties) take(element, property, row);
  }

  void read(const PlyElement& vertex, const VertexColumns& layout, PointCloud& cloud) {
    check_count(vertex, vertex.row_bytes(), rest_.size(), source_);
    cloud.values.resize(static_cast<std::size_t>(vertex.count) * layout.columns);
    if (!vertex.has_list()) {
      read_fixed_rows(vertex, layout, cloud);
      return;
    }
    float* point = cloud.values.data();
    for (std::int64_t row = 0; row < vertex.count; ++row, point += layout.columns) {
      for (std::size_t i = 0; i < vertex.properties.size(); ++i) {
        const std::uint8_t* const value = take(vertex, vertex.properties[i], row);
        const int column = layout.column_of_property[i];
        if (column >= 0)
          convert_to_float({value, 0, vertex.properties[i].type, order_}, 1, point + column, 1);
      }
    }
  }

 private:
  void read_fixed_rows(const PlyElement& vertex, const VertexColumns& layout, PointCloud& cloud) {
    const std::size_t stride = vertex.row_bytes();
    const std::uint8_t* field = rest_.data();
    for (std::size_t i = 0; vertex.count > 0 && i < vertex.properties.size(); ++i) {
      const ScalarType type = vertex.properties[i].type;
      convert_to_float({field, stride, type, order_}, vertex.count,
                       cloud.values.data() + layout.column_of_property[i], layout.columns);
      field += size_of(type);
    }
    rest_ = rest_.subspan(static_cast<std::size_t>(vertex.count) * stride);
  }

  /// Steps over one property, list or scalar, and returns where it begins.
  const std::uint8_t* take(const PlyElement& element, const PlyProperty& property, std::int64_t row) {
    const std::uint8_t* const begin = rest_.data();
    std::uint64_t bytes = size_of(property.length_type.value_or(property.type));
    if (bytes <= rest_.size() && property.length_type) {
      const std::int64_t length = load_integer(begin, *property.length_type, order_);
      if (length < 0)
        fail_input(source_, "the PLY list {} of {} {} has the length {}", quote(property.name),
                   quote(element.name), row, length);
      bytes += static_cast<std::uint64_t>(length) * size_of(property.type);
    }
    if (bytes > rest_.size()) fail_truncated(element, row, bytes, rest_.size(), source_);
    rest_ = rest_.subspan(bytes);
    return begin;
  }

  std::span<const std::uint8_t> rest_;
  std::endian order_;
  const std::string& source_;
};

/// The body of an ascii file: words in order, whatever the line breaks.
class AsciiBody {
 public:
  AsciiBody(std::string_view file, std::size_t offset, const std::string& source)
      : scanner_(file, source, offset), source_(source) {}

  void skip(const PlyElement& element) {
    walk(element, [](std::int64_t, std::size_t, float) {});
  }

  void read(const PlyElement& vertex, const VertexColumns& layout, PointCloud& cloud) {
    check_count(vertex, least_row_bytes(vertex), scanner_.remaining() + 1, source_);
    cloud.values.resize(static_cast<std::size_t>(vertex.count) * layout.columns);
    walk(vertex, [&](std::int64_t row, std::size_t property, float value) {
      const int column = layout.column_of_property[property];
      cloud.values[static_cast<std::size_t>(row) * layout.columns + column] = value;
    });
  }

  void expect_end() { scanner_.expect_end("the last element"); }

 private:
  /// A word and the space behind it (which the last word of a file may lack) for each property.
  static std::uint64_t least_row_bytes(const PlyElement& element) { return 2 * element.properties.size(); }

  template <class Store>
  void walk(const PlyElement& element, const Store& store) {
    check_count(element, least_row_bytes(element), scanner_.remaining() + 1, source_);
    if (element.properties.empty()) return;
    const std::string kind = quote(element.name);
    for (std::int64_t row = 0; row < element.count; ++row) {
      for (std::size_t i = 0; i < element.properties.size(); ++i) {
        if (!element.properties[i].length_type) {
          store(row, i, scanner_.next_number(kind, row));
          continue;
        }
        // A list longer than the text ends with the text.
        for (std::int64_t left = scanner_.next_length(kind, row); left > 0; --left)
          scanner_.next_number(kind, row);
      }
    }
  }

  TextScanner scanner_;
  const std::string& source_;
};

template <class Body>
PointCloud read_elements(const PlyHeader& header, Body& body, const std::string& source) {
  PointCloud cloud;
  bool has_vertices = false;
  for (const PlyElement& element : header.elements) {
    if (element.name != "vertex") {
      body.skip(element);
      continue;
    }
    if (has_vertices) fail_input(source, "the PLY header has two vertex elements");
    has_vertices = true;
    const VertexColumns layout = assign_columns(element, source);
    cloud.columns = layout.columns;
    body.read(element, layout, cloud);
  }
  if (!has_vertices) fail_input(source, "the PLY header has no vertex element");
  return cloud;
}

}  // namespace

PointCloud parse_ply(const std::uint8_t* data, std::size_t size, const std::string& what) {
  const std::span<const std::uint8_t> bytes(data, size);
  const PlyHeader header = parse_ply_header(bytes, what);
  if (header.encoding == PlyEncoding::ascii) {
    AsciiBody body({reinterpret_cast<const char*>(data), size}, header.data_offset, what);
    PointCloud cloud = read_elements(header, body, what);
    body.expect_end();
    return cloud;
  }
  const bool little = header.encoding == PlyEncoding::little_endian;
  BinaryBody body(bytes.subspan(header.data_offset), little ? std::endian::little : std::endian::big, what);
  return read_elements(header, body, what);
}

}  // namespace flexgemm::scene
