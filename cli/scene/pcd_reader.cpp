#include <bit>
#include <memory>
#include <span>
#include <string_view>

#include "scene/fail.hpp"
#include "scene/lzf.hpp"
#include "scene/pcd_header.hpp"
#include "scene/point_cloud.hpp"
#include "scene/text_scanner.hpp"

namespace flexgemm::scene {
namespace {

/// Refuses a number of points that the rest of the file cannot hold, before memory is taken for it.
void check_points(const PcdHeader& header, std::uint64_t row_bytes, std::uint64_t left,
                  const std::string& source) {
  if (static_cast<std::uint64_t>(header.points) <= left / row_bytes) return;
  fail_input(
      source,
      "the PCD header claims {} points, at least {} bytes each, and {} bytes are left: the file is truncated",
      header.points, row_bytes, left);
}

void take_points(const PcdHeader& header, PointCloud& cloud) {
  cloud.columns = header.columns;
  cloud.values.resize(static_cast<std::size_t>(header.points) * header.columns);
}

void put_color(std::uint32_t packed, float* color) {
  color[0] = static_cast<float>((packed >> 16) & 0xffu);
  color[1] = static_cast<float>((packed >> 8) & 0xffu);
  color[2] = static_cast<float>(packed & 0xffu);
}

/// The bits of a packed colour that an ascii file shows as a number of the field's type.
std::uint32_t next_color(const PcdField& field, TextScanner& scanner, std::int64_t row) {
  if (field.type == ScalarType::f32) return std::bit_cast<std::uint32_t>(scanner.next_number("point", row));
  return static_cast<std::uint32_t>(scanner.next_length("point", row));
}

void read_ascii(const PcdHeader& header, TextScanner scanner, PointCloud& cloud, const std::string& source) {
  check_points(header, 2 * header.row_values(), scanner.remaining() + 1, source);
  take_points(header, cloud);
  float* point = cloud.values.data();
  for (std::int64_t row = 0; row < header.points; ++row, point += header.columns) {
    for (const PcdField& field : header.fields) {
      if (field.is_packed_color()) put_color(next_color(field, scanner, row), point + field.column);
      for (std::int64_t i = 0; !field.is_packed_color() && i < field.count; ++i) {
        const float value = scanner.next_number("point", row);
        if (field.column >= 0) point[field.column + i] = value;
      }
    }
  }
  scanner.expect_end("the last point");
}

/// Binary data: point after point, or (compressed files) field after field.
void read_binary(const PcdHeader& header, const std::uint8_t* data, bool field_major, PointCloud& cloud) {
  const std::uint64_t row_bytes = header.row_bytes();
  for (const PcdField& field : header.fields) {
    const std::uint64_t stride = field_major ? field.bytes() : row_bytes;
    if (field.is_packed_color()) {
      for (std::int64_t row = 0; row < header.points; ++row) {
        const std::uint8_t* const value = data + static_cast<std::size_t>(row) * stride;
        put_color(load<std::uint32_t>(value), cloud.values.data() + row * header.columns + field.column);
      }
    }
    for (std::int64_t i = 0; !field.is_packed_color() && field.column >= 0 && i < field.count; ++i) {
      const std::uint8_t* const first = data + static_cast<std::size_t>(i) * size_of(field.type);
      convert_to_float({first, stride, field.type, std::endian::little}, header.points,
                       cloud.values.data() + field.column + i, header.columns);
    }
    data += field_major ? field.bytes() * static_cast<std::uint64_t>(header.points) : field.bytes();
  }
}

void read_compressed(const PcdHeader& header, std::span<const std::uint8_t> body, PointCloud& cloud,
                     const std::string& source) {
  constexpr std::size_t prefix = 8;  // compressed and plain size
  if (body.size() < prefix)
    fail_input(source,
               "the PCD file is truncated: the sizes of the compressed data need 8 bytes, {} are left",
               body.size());
  const std::uint64_t compressed = load<std::uint32_t>(&body[0]);
  const std::uint64_t plain = load<std::uint32_t>(&body[4]);
  const std::span<const std::uint8_t> input = body.subspan(prefix);
  if (compressed > input.size())
    fail_input(source, "the PCD file is truncated: it claims {} compressed bytes and {} are left", compressed,
               input.size());
  const std::uint64_t row_bytes = header.row_bytes();
  if (plain % row_bytes != 0 || plain / row_bytes != static_cast<std::uint64_t>(header.points))
    fail_input(source, "the PCD file claims {} bytes of plain data, not {} points of {} bytes", plain,
               header.points, row_bytes);
  if (plain > compressed * lzf_largest_ratio)
    fail_input(source, "{} compressed bytes of the PCD file cannot hold the {} that it claims", compressed,
               plain);
  const auto data = std::make_unique_for_overwrite<std::uint8_t[]>(plain);
  if (!lzf_decompress(input.first(compressed), {data.get(), plain}))
    fail_input(source, "the compressed PCD data is damaged: {} bytes do not decompress to the {} claimed",
               compressed, plain);
  take_points(header, cloud);
  if (header.points > 0) read_binary(header, data.get(), true, cloud);
}

}  // namespace

PointCloud parse_pcd(const std::uint8_t* data, std::size_t size, const std::string& what) {
  const std::span<const std::uint8_t> bytes(data, size);
  const PcdHeader header = parse_pcd_header(bytes, what);
  const std::span<const std::uint8_t> body = bytes.subspan(header.data_offset);
  PointCloud cloud;
  switch (header.encoding) {
    case PcdEncoding::ascii:
      read_ascii(header, TextScanner({reinterpret_cast<const char*>(data), size}, what, header.data_offset),
                 cloud, what);
      break;
    case PcdEncoding::binary:
      check_points(header, header.row_bytes(), body.size(), what);
      take_points(header, cloud);
      if (header.points > 0) read_binary(header, body.data(), false, cloud);
      break;
    case PcdEncoding::binary_compressed:
      read_compressed(header, body, cloud, what);
      break;
  }
  return cloud;
}

}  // namespace flexgemm::scene
