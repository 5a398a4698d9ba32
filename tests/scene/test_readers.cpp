#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>

#include <catch2/catch_test_macros.hpp>
#include <fmt/format.h>

#include "scan_files.hpp"
#include "scene/point_cloud.hpp"
#include "temporary_folder.hpp"

using namespace flexgemm::scene;
using namespace scan_files;

namespace {

template <class Parser>
PointCloud parse(Parser parser, const Bytes& bytes) {
  // A copy of exactly this size, so that a sanitizer sees any read beyond it.
  const std::vector<std::uint8_t> exact(bytes.begin(), bytes.end());
  return parser(exact.data(), exact.size(), "memory");
}

const Bytes& sound_file(const std::string& name) {
  static const std::vector<NamedFile> files = sound_files();
  for (const NamedFile& file : files)
    if (file.name == name) return file.bytes;
  FAIL("no such file " << name);
  return files[0].bytes;
}

void check_half_steps(const PointCloud& cloud, int rows, int columns) {
  REQUIRE(cloud.columns == columns);
  REQUIRE(cloud.points() == rows);
  for (std::size_t i = 0; i < cloud.values.size(); ++i)
    CHECK(cloud.values[i] == 0.5f * static_cast<float>(i));
}

}  // namespace

TEST_CASE("npy: every float type, byte order, memory order and version reads the same values") {
  for (const char* descr : {"<f2", ">f2", "<f4", ">f4", "=f4", "<f8", ">f8"})
    for (const bool fortran_order : {false, true})
      for (const int version : {1, 2, 3}) {
        INFO(descr << " fortran " << fortran_order << " version " << version);
        check_half_steps(parse(parse_npy, npy_of_numbers(descr, fortran_order, 7, 4, version)), 7, 4);
      }
}

TEST_CASE("npy: every integer type and byte order reads its values, negative ones too") {
  for (const std::string type : {"i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"})
    for (const char order : {'<', '>'}) {
      INFO(order << type);
      Bytes data;
      const double sign = type[0] == 'i' ? -1 : 1;
      for (const double value : {1.0, 2.0, 100.0})
        append_value(data, sign * value, type, order == '<' ? std::endian::little : std::endian::big);
      const auto dictionary =
          fmt::format("{{\"shape\": (1L, 3L), 'fortran_order': False, 'descr': '{}{}'}}", order, type);
      const PointCloud cloud = parse(parse_npy, npy_file(dictionary, data));
      CHECK(cloud.values == std::vector<float>{static_cast<float>(sign), static_cast<float>(2 * sign),
                                               static_cast<float>(100 * sign)});
    }
}

TEST_CASE("npy: no points are a valid scan") {
  const PointCloud cloud = parse(parse_npy, npy_of_numbers("<f4", false, 0, 5));
  CHECK(cloud.points() == 0);
  CHECK(cloud.columns == 5);
  CHECK(parse(parse_npy, npy_of_numbers("<f4", true, 0, 5)).points() == 0);
}

TEST_CASE("npz: stored, deflated, streamed and zip64 archives read alike") {
  const Bytes array = npy_of_numbers("<f4", false, 3000, 4);
  for (const bool deflate : {false, true})
    for (const bool data_descriptor : {false, true})
      for (const bool zip64 : {false, true})
        for (const char* comment : {"", "PK\x05\x06 a comment that begins like the end of an archive"}) {
          INFO("deflate " << deflate << " descriptor " << data_descriptor << " zip64 " << zip64);
          const ZipOptions options{
              .deflate = deflate, .data_descriptor = data_descriptor, .zip64 = zip64, .comment = comment};
          check_half_steps(parse(parse_npz, zip_file({{"pc.npy", array}}, options)), 3000, 4);
        }
}

TEST_CASE("npz: pc comes before points, points before the only two-dimensional array") {
  const Bytes three = npy_of_numbers("<f4", false, 2, 3);
  const Bytes four = npy_of_numbers("<f4", false, 2, 4);
  const Bytes flat = npy_file("{'descr': '<i4', 'fortran_order': False, 'shape': (0,), }", {});
  const Bytes records = npy_file(
      "{'descr': [('a', '<f4'), ('b', [('c', '|u1')])], 'fortran_order': False, 'shape': (0,), }", {});
  CHECK(parse(parse_npz, zip_file({{"points.npy", three}, {"pc.npy", four}})).columns == 4);
  CHECK(parse(parse_npz, zip_file({{"other.npy", four}, {"points.npy", three}})).columns == 3);
  CHECK(parse(parse_npz, zip_file({{"notes.txt", bytes_of("hello")},
                                   {"flat.npy", flat},
                                   {"records.npy", records},
                                   {"scan.npy", four}}))
            .columns == 4);
}

TEST_CASE("ply: ascii vertices read in order, faces skipped") {
  const PointCloud cloud = parse(parse_ply, sound_file("ascii.ply"));
  REQUIRE(cloud.columns == 4);
  REQUIRE(cloud.points() == 2);
  CHECK(std::vector<float>(cloud.values.begin(), cloud.values.begin() + 5) ==
        std::vector<float>{1, 2, 3, 255, -4.5f});
  CHECK(std::isnan(cloud.values[5]));
  CHECK(cloud.values[6] == 60.0f);
}

TEST_CASE("ply: binary of both byte orders skips lists inside and before the vertices") {
  for (const char* name : {"little.ply", "big.ply"}) {
    INFO(name);
    const PointCloud cloud = parse(parse_ply, sound_file(name));
    CHECK(cloud.columns == 4);
    CHECK(cloud.values == std::vector<float>{1, 1.5f, -1, 7, 10, 10.5f, -10, 7});
  }
}

TEST_CASE("ply: every scalar type under both of its names, coordinates in any place") {
  const std::vector<std::pair<std::string, std::string>> types{
      {"char", "i1"},  {"int8", "i1"},    {"uchar", "u1"},  {"uint8", "u1"},
      {"short", "i2"}, {"int16", "i2"},   {"ushort", "u2"}, {"uint16", "u2"},
      {"int", "i4"},   {"int32", "i4"},   {"uint", "u4"},   {"uint32", "u4"},
      {"float", "f4"}, {"float32", "f4"}, {"double", "f8"}, {"float64", "f8"}};
  for (const auto& [name, type] : types)
    for (const bool little : {true, false}) {
      INFO(name << " little " << little);
      const std::endian order = little ? std::endian::little : std::endian::big;
      Bytes file = bytes_of(fmt::format(
          "ply\r\nformat binary_{}_endian 1.0\r\nelement vertex 2\r\nproperty {} a\r\nproperty {} z\r\n"
          "property {} y\r\nproperty {} x\r\nend_header\r\n",
          little ? "little" : "big", name, name, name, name));
      for (int i = 0; i < 8; ++i) append_value(file, i, type, order);
      CHECK(parse(parse_ply, file).values == std::vector<float>{3, 2, 1, 0, 7, 6, 5, 4});
    }
}

TEST_CASE("ply: no vertices are a valid scan in every encoding") {
  for (const char* encoding : {"ascii", "binary_little_endian", "binary_big_endian"}) {
    const Bytes file =
        bytes_of(fmt::format("ply\nformat {} 1.0\nelement vertex 0\nproperty float x\n"
                             "property float y\nproperty float z\nend_header\n",
                             encoding));
    CHECK(parse(parse_ply, file).points() == 0);
  }
}

TEST_CASE("pcd: ascii, binary and compressed files of the same points read alike") {
  std::vector<float> expected;
  for (int row = 0; row < 3; ++row)
    for (const float part : {0.0f, 0.25f, 0.5f, 0.75f}) expected.push_back(static_cast<float>(row) + part);
  for (const char* name : {"ascii.pcd", "binary.pcd", "compressed.pcd"}) {
    INFO(name);
    const PointCloud cloud = parse(parse_pcd, sound_file(name));
    CHECK(cloud.columns == 4);
    CHECK(cloud.values == expected);
  }
}

TEST_CASE("pcd: every type, and fields of several values") {
  for (const std::string type : {"I1", "U1", "I2", "U2", "I4", "U4", "I8", "U8", "F4", "F8"}) {
    INFO(type);
    const auto code = std::string(1, static_cast<char>(std::tolower(type[0]))) + type[1];
    const char letter = type[0];
    const char size = type[1];
    const auto header = [&](const char* data) {
      return bytes_of(
          fmt::format("VERSION .7\nFIELDS h x y z\nSIZE {} {} {} {}\nTYPE {} {} {} {}\n"
                      "COUNT 2 1 1 1\nWIDTH 1\nHEIGHT 2\nDATA {}\n",
                      size, size, size, size, letter, letter, letter, letter, data));
    };
    Bytes binary = header("binary");
    for (const double value : {8, 9, 1, 2, 3, 18, 19, 11, 12, 13})
      append_value(binary, value, code, std::endian::little);
    Bytes plain;
    for (const double value : {8, 9, 18, 19, 1, 11, 2, 12, 3, 13})
      append_value(plain, value, code, std::endian::little);
    Bytes compressed = header("binary_compressed");
    append(compressed, compressed_pcd_body(plain));
    const std::vector<float> expected{1, 2, 3, 8, 9, 11, 12, 13, 18, 19};
    CHECK(parse(parse_pcd, binary).values == expected);
    CHECK(parse(parse_pcd, compressed).values == expected);
  }
}

TEST_CASE("pcd: LZF with long, overlapping and far back references decompresses") {
  constexpr int points = 4000;
  Bytes plain;
  for (int field = 0; field < 3; ++field)
    for (int i = 0; i < points; ++i)
      append_value(plain, field == 0 ? 0.0 : i % (field == 1 ? 700 : 3), "f4", std::endian::little);
  Bytes file = bytes_of(
      fmt::format("FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nPOINTS {}\nDATA binary_compressed\n", points));
  const Bytes body = compressed_pcd_body(plain);
  REQUIRE(body.size() < plain.size() / 4);
  append(file, body);
  const PointCloud cloud = parse(parse_pcd, file);
  REQUIRE(cloud.points() == points);
  for (int i = 0; i < points; ++i) {
    REQUIRE(cloud.values[static_cast<std::size_t>(3 * i)] == 0);
    REQUIRE(cloud.values[static_cast<std::size_t>(3 * i + 1)] == static_cast<float>(i % 700));
    REQUIRE(cloud.values[static_cast<std::size_t>(3 * i + 2)] == static_cast<float>(i % 3));
  }
}

TEST_CASE("pcd: a packed colour becomes red, green and blue, whatever its alpha and encoding") {
  const std::uint32_t packed = 0xffc08040u;  // as a float it is not a number
  for (const char type : {'F', 'U'}) {
    const std::string header = fmt::format(
        "VERSION .7\nFIELDS x y z rgba i\nSIZE 4 4 4 4 4\nTYPE F F F {} F\nCOUNT 1 1 1 1 1\nPOINTS 1\nDATA ",
        type);
    Bytes binary = bytes_of(header + "binary\n");
    for (const float value : {1.0f, 2.0f, 3.0f})
      append_integer(binary, std::bit_cast<std::uint32_t>(value), 4);
    append_integer(binary, packed, 4);
    append_integer(binary, std::bit_cast<std::uint32_t>(0.5f), 4);
    const std::string number =
        type == 'U' ? fmt::format("{}", packed) : fmt::format("{}", std::bit_cast<float>(0x00c08040u));
    for (const Bytes& file : {binary, bytes_of(header + "ascii\n1 2 3 " + number + " 0.5\n")}) {
      const PointCloud cloud = parse(parse_pcd, file);
      REQUIRE(cloud.columns == 7);
      CHECK(cloud.values == std::vector<float>{1, 2, 3, 192, 128, 64, 0.5f});
    }
  }
}

TEST_CASE("pcd: no points are a valid scan in every encoding") {
  for (const char* encoding : {"ascii", "binary", "binary_compressed"}) {
    Bytes file =
        bytes_of(fmt::format("VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 0\n"
                             "HEIGHT 1\nPOINTS 0\nDATA {}\n",
                             encoding));
    if (encoding == std::string("binary_compressed")) append_integer(file, 0, 8);
    CHECK(parse(parse_pcd, file).points() == 0);
  }
}

TEST_CASE("ascii numbers: signs, exponents, underflow, overflow and not-a-number") {
  const Bytes file = bytes_of(
      "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
      "end_header\n+1.5 -2E-3 1e-60\n1e60 -inf NaN\n16777217 0.1 -nan");
  const PointCloud cloud = parse(parse_ply, file);
  CHECK(cloud.values[0] == 1.5f);
  CHECK(cloud.values[1] == -2e-3f);
  CHECK(cloud.values[2] == 0.0f);
  CHECK((std::isinf(cloud.values[3]) && cloud.values[3] > 0));
  CHECK((std::isinf(cloud.values[4]) && cloud.values[4] < 0));
  CHECK(std::isnan(cloud.values[5]));
  CHECK(cloud.values[6] == 16777216.0f);
  CHECK(cloud.values[7] == 0.1f);
  CHECK(std::isnan(cloud.values[8]));
}

TEST_CASE("bin: rows of the asked width; an empty file has no points") {
  const Bytes& bytes = sound_file("raw.bin");
  check_half_steps(parse_bin(bytes.data(), bytes.size(), 4, "memory"), 3, 4);
  check_half_steps(parse_bin(bytes.data(), bytes.size(), 3, "memory"), 4, 3);
  CHECK(parse_bin(nullptr, 0, 4, "memory").points() == 0);
}

TEST_CASE("files are read by their extension, in either case") {
  const TemporaryFolder folder;
  for (const NamedFile& file : sound_files()) {
    auto name = std::filesystem::path(file.name);
    std::string upper = name.extension().string();
    for (char& letter : upper) letter = static_cast<char>(std::toupper(letter));
    for (const std::string& extension : {name.extension().string(), upper}) {
      const auto path = folder.path() / name.replace_extension(extension);
      std::ofstream(path, std::ios::binary)
          .write(reinterpret_cast<const char*>(file.bytes.data()),
                 static_cast<std::streamsize>(file.bytes.size()));
      INFO(path);
      CHECK(read_point_cloud(path.string()).points() > 0);
    }
  }
}
