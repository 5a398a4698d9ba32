#include "scan_files.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <zlib.h>

namespace scan_files {
namespace {

template <class T>
void append_as(Bytes& bytes, double value, std::endian order) {
  const T typed = static_cast<T>(value);
  Bytes raw(sizeof(T));
  std::memcpy(raw.data(), &typed, sizeof(T));
  if (order != std::endian::native) std::reverse(raw.begin(), raw.end());
  append(bytes, raw);
}

/// Normal numbers whose mantissa fits.
std::uint16_t half_bits(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  if (value == 0) return 0;
  const std::uint32_t exponent = ((bits >> 23) & 0xff) - 112;
  return static_cast<std::uint16_t>((bits >> 31 << 15) | (exponent << 10) | ((bits >> 13) & 0x3ff));
}

Bytes deflate_raw(const Bytes& plain) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  Bytes output(deflateBound(&stream, static_cast<uLong>(plain.size())) + 16);
  stream.next_in = const_cast<Bytef*>(plain.data());
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = output.data();
  stream.avail_out = static_cast<uInt>(output.size());
  deflate(&stream, Z_FINISH);
  output.resize(stream.total_out);
  deflateEnd(&stream);
  return output;
}

void append_zip64_field(Bytes& bytes, const std::vector<std::uint64_t>& values) {
  append_integer(bytes, 1, 2);
  append_integer(bytes, 8 * values.size(), 2);
  for (const std::uint64_t value : values) append_integer(bytes, value, 8);
}

}  // namespace

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

void append(Bytes& bytes, const Bytes& more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

void append_integer(Bytes& bytes, std::uint64_t value, int width) {
  for (int i = 0; i < width; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void append_value(Bytes& bytes, double value, std::string_view type, std::endian order) {
  if (type == "i1") append_as<std::int8_t>(bytes, value, order);
  if (type == "u1") append_as<std::uint8_t>(bytes, value, order);
  if (type == "i2") append_as<std::int16_t>(bytes, value, order);
  if (type == "u2") append_as<std::uint16_t>(bytes, value, order);
  if (type == "i4") append_as<std::int32_t>(bytes, value, order);
  if (type == "u4") append_as<std::uint32_t>(bytes, value, order);
  if (type == "i8") append_as<std::int64_t>(bytes, value, order);
  if (type == "u8") append_as<std::uint64_t>(bytes, value, order);
  if (type == "f2") append_as<std::uint16_t>(bytes, half_bits(value), order);
  if (type == "f4") append_as<float>(bytes, value, order);
  if (type == "f8") append_as<double>(bytes, value, order);
}

Bytes npy_file(std::string_view dictionary, const Bytes& data, int version) {
  Bytes file = bytes_of("\x93NUMPY");
  file.push_back(static_cast<std::uint8_t>(version));
  file.push_back(0);
  append_integer(file, dictionary.size() + 1, version == 1 ? 2 : 4);
  append(file, bytes_of(dictionary));
  file.push_back('\n');
  append(file, data);
  return file;
}

Bytes npy_of_numbers(std::string_view descr, bool fortran_order, int rows, int columns, int version) {
  Bytes data;
  const std::endian order = descr[0] == '>' ? std::endian::big : std::endian::little;
  for (int i = 0; i < rows * columns; ++i) {
    const int index = fortran_order ? i % rows * columns + i / rows : i;
    append_value(data, 0.5 * index, descr.substr(1), order);
  }
  const std::string dictionary = fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': ({}, {}), }}",
                                             descr, fortran_order ? "True" : "False", rows, columns);
  return npy_file(dictionary, data, version);
}

Bytes zip_file(const std::vector<ZipEntry>& entries, const ZipOptions& options) {
  Bytes file;
  Bytes directory;
  for (const ZipEntry& entry : entries) {
    const Bytes body = options.deflate ? deflate_raw(entry.data) : entry.data;
    const auto crc = static_cast<std::uint32_t>(
        crc32(0, entry.data.data(), static_cast<uInt>(entry.data.size())) + options.crc_change);
    const std::uint64_t size = options.claimed_size != 0 ? options.claimed_size : entry.data.size();
    const std::uint64_t offset = file.size();
    const int flags = options.data_descriptor ? 8 : 0;
    const auto append_common = [&](Bytes& bytes, bool sizes_known) {
      append_integer(bytes, 45, 2);
      append_integer(bytes, flags, 2);
      append_integer(bytes, options.deflate ? 8 : 0, 2);
      append_integer(bytes, 0, 4);  // time and date
      append_integer(bytes, sizes_known ? crc : 0, 4);
      append_integer(bytes, options.zip64 ? 0xffffffff : (sizes_known ? body.size() : 0), 4);
      append_integer(bytes, options.zip64 ? 0xffffffff : (sizes_known ? size : 0), 4);
      append_integer(bytes, entry.name.size(), 2);
    };
    append_integer(file, 0x04034b50, 4);
    append_common(file, !options.data_descriptor);
    append_integer(file, options.zip64 ? 20 : 0, 2);
    append(file, bytes_of(entry.name));
    if (options.zip64) append_zip64_field(file, {size, body.size()});
    append(file, body);
    if (options.data_descriptor) {
      append_integer(file, 0x08074b50, 4);
      append_integer(file, crc, 4);
      append_integer(file, body.size(), options.zip64 ? 8 : 4);
      append_integer(file, size, options.zip64 ? 8 : 4);
    }
    append_integer(directory, 0x02014b50, 4);
    append_integer(directory, 45, 2);
    append_common(directory, true);
    append_integer(directory, options.zip64 ? 28 : 0, 2);
    append_integer(directory, 0, 8);  // comment, disk, attributes
    append_integer(directory, 0, 2);
    append_integer(directory, options.zip64 ? 0xffffffff : offset, 4);
    append(directory, bytes_of(entry.name));
    if (options.zip64) append_zip64_field(directory, {size, body.size(), offset});
  }
  const std::uint64_t begin = file.size();
  append(file, directory);
  if (options.zip64) {
    const std::uint64_t end64 = file.size();
    append_integer(file, 0x06064b50, 4);
    append_integer(file, 44, 8);
    append_integer(file, 0x002d002d, 4);
    append_integer(file, 0, 8);
    append_integer(file, entries.size(), 8);
    append_integer(file, entries.size(), 8);
    append_integer(file, directory.size(), 8);
    append_integer(file, begin, 8);
    append_integer(file, 0x07064b50, 4);
    append_integer(file, 0, 4);
    append_integer(file, end64, 8);
    append_integer(file, 1, 4);
  }
  append_integer(file, 0x06054b50, 4);
  append_integer(file, 0, 4);
  append_integer(file, options.zip64 ? 0xffff : entries.size(), 2);
  append_integer(file, options.zip64 ? 0xffff : entries.size(), 2);
  append_integer(file, options.zip64 ? 0xffffffff : directory.size(), 4);
  append_integer(file, options.zip64 ? 0xffffffff : begin, 4);
  append_integer(file, options.comment.size(), 2);
  append(file, bytes_of(options.comment));
  return file;
}

Bytes lzf_compress(const Bytes& plain) {
  Bytes output;
  Bytes literals;
  const auto flush = [&] {
    for (std::size_t i = 0; i < literals.size(); i += 32) {
      const std::size_t length = std::min<std::size_t>(32, literals.size() - i);
      output.push_back(static_cast<std::uint8_t>(length - 1));
      output.insert(output.end(), &literals[i], &literals[i] + length);
    }
    literals.clear();
  };
  for (std::size_t position = 0; position < plain.size();) {
    std::size_t best = 0;
    std::size_t best_distance = 0;
    for (std::size_t distance = 1; distance <= std::min<std::size_t>(position, 8192); ++distance) {
      std::size_t length = 0;
      while (length < 264 && position + length < plain.size() &&
             plain[position + length] == plain[position + length - distance])
        ++length;
      if (length > best) {
        best = length;
        best_distance = distance;
      }
    }
    if (best < 3) {
      literals.push_back(plain[position++]);
      continue;
    }
    flush();
    const std::size_t code = best - 2;
    const std::size_t distance = best_distance - 1;
    output.push_back(static_cast<std::uint8_t>((std::min<std::size_t>(code, 7) << 5) | (distance >> 8)));
    if (code >= 7) output.push_back(static_cast<std::uint8_t>(code - 7));
    output.push_back(static_cast<std::uint8_t>(distance));
    position += best;
  }
  flush();
  return output;
}

Bytes compressed_pcd_body(const Bytes& plain) {
  const Bytes compressed = lzf_compress(plain);
  Bytes body;
  append_integer(body, compressed.size(), 4);
  append_integer(body, plain.size(), 4);
  append(body, compressed);
  return body;
}

std::vector<NamedFile> sound_files() {
  std::vector<NamedFile> files;
  for (const std::string_view descr : {"<f4", ">f4", "<f8", "<f2", "<i2", "|u1", ">i8"})
    files.push_back(
        {fmt::format("{}.npy", descr.substr(1) == "f4" && descr[0] == '>' ? "big" : descr.substr(1)),
         npy_of_numbers(descr, false, 5, 4)});
  files.push_back({"fortran.npy", npy_of_numbers("<f4", true, 5, 4, 2)});
  const Bytes array = npy_of_numbers("<f4", false, 5, 4);
  files.push_back({"stored.npz", zip_file({{"pc.npy", array}})});
  files.push_back(
      {"deflated.npz", zip_file({{"labels.npy", npy_file("{'descr': '<i4', 'fortran_order': False, "
                                                         "'shape': (0,), }",
                                                         {})},
                                 {"cloud.npy", array}},
                                {.deflate = true})});
  files.push_back({"zip64.npz", zip_file({{"points.npy", array}},
                                         {.deflate = true, .data_descriptor = true, .zip64 = true})});
  files.push_back(
      {"ascii.ply", bytes_of("ply\nformat ascii 1.0\ncomment by hand\nelement vertex 2\nproperty float x\n"
                             "property float y\nproperty float z\nproperty uchar red\n"
                             "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
                             "1 2 3 255\n-4.5 nan 6e1 0\n3 0 1 0\n")});
  for (const bool little : {true, false}) {
    const std::endian order = little ? std::endian::little : std::endian::big;
    Bytes ply = bytes_of(
        fmt::format("ply\nformat binary_{}_endian 1.0\nelement sensor 1\nproperty list uint short ticks\n"
                    "element vertex 2\nproperty double x\nproperty float y\nproperty short z\n"
                    "property list uchar float extra\nproperty char w\nend_header\n",
                    little ? "little" : "big"));
    append_value(ply, 2, "u4", order);
    for (const double tick : {1.0, 2.0}) append_value(ply, tick, "i2", order);
    for (const double base : {1.0, 10.0}) {
      append_value(ply, base, "f8", order);
      append_value(ply, base + 0.5, "f4", order);
      append_value(ply, -base, "i2", order);
      append_value(ply, 1, "u1", order);
      append_value(ply, 99, "f4", order);
      append_value(ply, 7, "i1", order);
    }
    files.push_back({little ? "little.ply" : "big.ply", ply});
  }
  const auto pcd_header = [](std::string_view data) {
    return bytes_of(
        fmt::format("# .PCD v0.7\nVERSION 0.7\nFIELDS x y z _ intensity\nSIZE 4 4 4 1 4\nTYPE F F F U F\n"
                    "COUNT 1 1 1 4 1\nWIDTH 3\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 3\nDATA {}\n",
                    data));
  };
  Bytes ascii = pcd_header("ascii");
  Bytes rows = pcd_header("binary");
  Bytes plain;
  for (int row = 0; row < 3; ++row) {
    append(ascii, bytes_of(fmt::format("{} {} {} 0 0 0 0 {}\n", row, row + 0.25, row + 0.5, row + 0.75)));
    for (const double value : {row + 0.0, row + 0.25, row + 0.5})
      append_value(rows, value, "f4", std::endian::little);
    append_integer(rows, 0, 4);
    append_value(rows, row + 0.75, "f4", std::endian::little);
  }
  for (const double part : {0.0, 0.25, 0.5, -1.0, 0.75})
    for (int row = 0; row < 3; ++row)
      append_value(plain, part < 0 ? 0.0 : row + part, "f4", std::endian::little);
  Bytes compressed = pcd_header("binary_compressed");
  append(compressed, compressed_pcd_body(plain));
  files.push_back({"ascii.pcd", ascii});
  files.push_back({"binary.pcd", rows});
  files.push_back({"compressed.pcd", compressed});
  Bytes raw;
  for (int i = 0; i < 12; ++i) append_value(raw, 0.5 * i, "f4", std::endian::little);
  files.push_back({"raw.bin", raw});
  return files;
}

}  // namespace scan_files
