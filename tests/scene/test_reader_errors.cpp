#include <filesystem>
#include <fstream>
#include <functional>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <flexgemm/error.hpp>

#include "scan_files.hpp"
#include "scene/point_cloud.hpp"
#include "temporary_folder.hpp"

using namespace flexgemm::scene;
using namespace scan_files;
using Catch::Matchers::ContainsSubstring;
using flexgemm::Error;
using flexgemm::ErrorCode;

namespace {

using Parser = PointCloud (*)(const std::uint8_t*, std::size_t, const std::string&);

void check_refused(const std::function<void()>& read, const std::string& source,
                   const std::vector<std::string>& words, ErrorCode code = ErrorCode::io) {
  try {
    read();
    FAIL_CHECK("accepted: " << source << " " << (words.empty() ? "" : words[0]));
  } catch (const Error& error) {
    CHECK(error.code() == code);
    CHECK_THAT(error.what(), ContainsSubstring(source));
    for (const std::string& word : words) CHECK_THAT(error.what(), ContainsSubstring(word));
  }
}

/// The file must be refused with a message that holds the source's name and all of `words`.
void refuse(Parser parser, const Bytes& bytes, const std::vector<std::string>& words) {
  const std::vector<std::uint8_t> exact(bytes.begin(), bytes.end());
  check_refused([&] { parser(exact.data(), exact.size(), "some/scan"); }, "some/scan", words);
}

Bytes npy_with(const std::string& dictionary, std::size_t data_bytes = 0) {
  return npy_file(dictionary, Bytes(data_bytes));
}

Bytes npy_with_shape(const std::string& shape, std::size_t data_bytes = 0) {
  return npy_with(fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': {}, }}", shape),
                  data_bytes);
}

Bytes ply_with(const std::string& lines, const std::string& body = "") {
  return bytes_of("ply\n" + lines + "end_header\n" + body);
}

const std::string xyz = "property float x\nproperty float y\nproperty float z\n";

Bytes pcd_with(const std::string& points, const std::string& data, const std::string& body = "") {
  return bytes_of("VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\n" + points + "DATA " +
                  data + "\n" + body);
}

Bytes compressed_with(std::uint64_t compressed, std::uint64_t plain, const Bytes& body) {
  Bytes file = pcd_with("POINTS 2\n", "binary_compressed");
  append_integer(file, compressed, 4);
  append_integer(file, plain, 4);
  append(file, body);
  return file;
}

}  // namespace

TEST_CASE("every proper prefix of every sound file is refused or, where bytes are optional, read") {
  for (const NamedFile& file : sound_files()) {
    INFO(file.name);
    const std::string extension = std::filesystem::path(file.name).extension().string();
    const bool ascii = file.name.starts_with("ascii");
    for (std::size_t size = 0; size < file.bytes.size(); ++size) {
      const std::vector<std::uint8_t> prefix(file.bytes.begin(),
                                             file.bytes.begin() + static_cast<std::ptrdiff_t>(size));
      const auto read = [&] {
        if (extension == ".npy") parse_npy(prefix.data(), size, "some/scan");
        if (extension == ".npz") parse_npz(prefix.data(), size, "some/scan");
        if (extension == ".ply") parse_ply(prefix.data(), size, "some/scan");
        if (extension == ".pcd") parse_pcd(prefix.data(), size, "some/scan");
        if (extension == ".bin") parse_bin(prefix.data(), size, 4, "some/scan");
      };
      // A shorter last number is still a number; whole points of a .bin are a shorter scan.
      const bool readable =
          (extension == ".bin" && size % 16 == 0) || (ascii && size + 6 > file.bytes.size());
      INFO("first " << size << " of " << file.bytes.size() << " bytes");
      if (!readable) check_refused(read, "some/scan", {});
    }
  }
}

TEST_CASE("npy: damaged and lying headers are refused with their values") {
  refuse(parse_npy, bytes_of("not numpy at all"), {"not a .npy file"});
  refuse(parse_npy, npy_of_numbers("<f4", false, 2, 3, 9), {"9.0"});
  refuse(parse_npy, npy_with_shape("(1000000000000, 3)"),
         {"(1000000000000, 3)", "12000000000000", "truncated"});
  refuse(parse_npy, npy_with_shape("(9223372036854775807, 65536)"), {"9223372036854775807"});
  refuse(parse_npy, npy_with_shape("(9223372036854775808, 3)"), {"damaged"});
  refuse(parse_npy, npy_with_shape("(-1, 3)"), {"damaged", "-1"});
  refuse(parse_npy, npy_with_shape("(2, 2)", 16), {"(2, 2)"});
  refuse(parse_npy, npy_with_shape("(6,)", 24), {"(6,)"});
  refuse(parse_npy, npy_with_shape("()", 4), {"()"});
  refuse(parse_npy, npy_with_shape("(1, 2, 3)", 24), {"(1, 2, 3)"});
  refuse(parse_npy, npy_with_shape("(0, 4294967297)"), {"4294967297"});
  refuse(parse_npy, npy_with_shape("(2, 3", 24), {"damaged"});
  refuse(parse_npy, npy_with("{'descr': '<c8', 'fortran_order': False, 'shape': (1, 3), }", 24), {"'<c8'"});
  refuse(parse_npy, npy_with("{'descr': '|O', 'fortran_order': False, 'shape': (1, 3), }", 24), {"'|O'"});
  refuse(parse_npy, npy_with("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1, 3), }", 24),
         {"[('x', "});
  refuse(parse_npy, npy_with("{'descr': [((((, 'fortran_order': False, 'shape': (1, 3), }", 24), {"damaged"});
  refuse(parse_npy, npy_with("{'descr': '<f4', 'shape': (1, 3), }", 12), {"fortran_order"});
  refuse(parse_npy, npy_with("{'descr': '<f4', 'evil\x01': 1, 'shape': (1, 3), }", 12), {"evil\\x01"});
  Bytes long_header = bytes_of("\x93NUMPY\x02");
  long_header.push_back(0);
  append_integer(long_header, 0xfffffff0, 4);
  refuse(parse_npy, long_header, {"4294967280"});
}

TEST_CASE("npz: damaged archives, lying sizes and zip bombs are refused") {
  const Bytes array = npy_of_numbers("<f4", false, 100, 4);
  refuse(parse_npz, bytes_of("PK not an archive, but long enough to be searched"), {"not a zip archive"});
  refuse(parse_npz, zip_file({}), {"none of the 0 members"});
  refuse(parse_npz, zip_file({{"a.npy", array}, {"b.npy", array}}), {"'a.npy'", "'b.npy'"});
  for (const bool deflate : {false, true}) {
    refuse(parse_npz, zip_file({{"pc.npy", array}}, {.deflate = deflate, .crc_change = 1}),
           {"pc.npy", "CRC"});
    refuse(parse_npz, zip_file({{"pc.npy", array}}, {.deflate = deflate, .claimed_size = 4000000000}),
           {"4000000000"});
    refuse(parse_npz,
           zip_file({{"pc.npy", array}}, {.deflate = deflate, .zip64 = true, .claimed_size = 1ull << 60}),
           {std::to_string(1ull << 60)});
  }
  // 64 MiB of zeros behind an array of 100 points.
  Bytes bomb = array;
  bomb.resize(bomb.size() + (64u << 20));
  refuse(parse_npz, zip_file({{"pc.npy", bomb}}, {.deflate = true}),
         {std::to_string(bomb.size()), std::to_string(array.size())});
  refuse(parse_npz, zip_file({{"pc.npy", bomb}}, {.deflate = true, .claimed_size = array.size()}),
         {std::to_string(array.size()), "or more"});
  Bytes encrypted = zip_file({{"pc.npy", array}});
  const std::size_t directory = encrypted.size() - 22 - 46 - 6;
  encrypted[directory + 8] |= 1;
  refuse(parse_npz, encrypted, {"encrypted"});
  Bytes method = zip_file({{"pc.npy", array}});
  method[directory + 10] = 14;
  refuse(parse_npz, method, {"method 14"});
  Bytes offset = zip_file({{"pc.npy", array}});
  offset[directory + 45] = 0x7f;
  refuse(parse_npz, offset, {"2130706432"});
}

TEST_CASE("npz: a damaged deflate stream is refused") {
  Bytes file = zip_file({{"pc.npy", npy_of_numbers("<f4", false, 3000, 4)}}, {.deflate = true});
  for (std::size_t i = 2000; i < 2040; ++i) file[i] ^= 0x5a;
  refuse(parse_npz, file, {"pc.npy"});
}

TEST_CASE("ply: damaged and lying headers are refused with their values") {
  const std::string format = "format ascii 1.0\n";
  refuse(parse_ply, bytes_of("plyx\n"), {"not a PLY file"});
  refuse(parse_ply, ply_with("format ascii 2.0\n"), {"format ascii 2.0"});
  refuse(parse_ply, ply_with("element vertex 0\n" + xyz), {"format"});
  refuse(parse_ply, ply_with(format), {"no vertex element"});
  refuse(parse_ply, ply_with(format + "element vertex -1\n" + xyz), {"element vertex -1"});
  refuse(parse_ply, ply_with(format + "element vertex 99999999999999999999\n" + xyz),
         {"99999999999999999999"});
  refuse(parse_ply, ply_with(format + "property float x\n"), {"property float x"});
  refuse(parse_ply, ply_with(format + "element vertex 0\nproperty half x\n"), {"property half x"});
  refuse(parse_ply, ply_with(format + "element vertex 0\nproperty list float int x\n"), {"list float"});
  refuse(parse_ply, ply_with(format + "element vertex 0\nproperty float x\nproperty float y\n"), {"named z"});
  refuse(parse_ply, ply_with(format + "element vertex 0\n" + xyz + "property int x\n"),
         {"2 scalar", "named x"});
  refuse(parse_ply, ply_with(format + "element vertex 0\n" + xyz + "element vertex 0\n" + xyz),
         {"two vertex"});
  for (const std::string encoding : {"ascii", "binary_little_endian", "binary_big_endian"})
    refuse(parse_ply,
           ply_with("format " + encoding + " 1.0\nelement vertex 4611686018427387904\n" + xyz, "1 2 3\n"),
           {"4611686018427387904", "'vertex'", "truncated"});
  refuse(parse_ply, ply_with(format + "element vertex 1\n" + xyz, "1 two 3\n"), {"line 8", "'two'"});
  refuse(parse_ply, ply_with(format + "element vertex 1\n" + xyz, "1 0x2 3\n"), {"line 8", "'0x2'"});
  refuse(parse_ply, ply_with(format + "element vertex 1\n" + xyz, "1 2 1e999\n"), {"1e999"});
  refuse(parse_ply, ply_with(format + "element vertex 1\n" + xyz, "1 2 3\n4 5 6\n"), {"line 9", "'4'"});
  refuse(parse_ply,
         ply_with(format + "element vertex 1\n" + xyz + "element face 1\nproperty list int int i\n",
                  "1 2 3\n-2 1\n"),
         {"line 11", "'-2'"});
}

TEST_CASE("ply: lists that claim more than the file holds are refused") {
  Bytes file = ply_with(
      "format binary_little_endian 1.0\nelement face 1\nproperty list int double i\n"
      "element vertex 0\n" +
      xyz);
  Bytes negative = file;
  append_integer(file, 0x7fffffff, 4);
  append(file, Bytes(64));
  refuse(parse_ply, file, {"'face' 0", "17179869180"});
  append_integer(negative, 0xffffffff, 4);
  refuse(parse_ply, negative, {"'face' 0", "-1"});
}

TEST_CASE("pcd: damaged and lying headers are refused with their values") {
  refuse(parse_pcd, bytes_of("hello\n"), {"'hello'"});
  refuse(parse_pcd, bytes_of("VERSION .7\n"), {"truncated", "DATA"});
  refuse(parse_pcd, pcd_with("", "ascii"), {"POINTS"});
  refuse(parse_pcd, pcd_with("POINTS x\n", "ascii"), {"POINTS", "'x'"});
  refuse(parse_pcd, pcd_with("POINTS 1\nPOINTS 1\n", "ascii"), {"POINTS 1"});
  refuse(parse_pcd, pcd_with("WIDTH 3\nHEIGHT 5\nPOINTS 14\n", "ascii"), {"3", "5", "14"});
  refuse(parse_pcd, pcd_with("WIDTH 4294967296\nHEIGHT 4294967296\n", "binary"), {"4294967296"});
  refuse(parse_pcd, pcd_with("POINTS 1\n", "zstd"), {"'zstd'"});
  refuse(parse_pcd, pcd_with("POINTS 1\n", "ascii", "1 2 z"), {"line 8", "'z'", "point 0"});
  refuse(parse_pcd, pcd_with("POINTS 1\n", "ascii", "1 2 3 4"), {"'4'"});
  for (const std::string data : {"ascii", "binary"})
    refuse(parse_pcd, pcd_with("POINTS 1000000000000000000\n", data, "1 2 3\n"),
           {"1000000000000000000", "truncated"});
  const auto fields = [](const std::string& lines) { return bytes_of(lines + "POINTS 0\nDATA ascii\n"); };
  refuse(parse_pcd, fields("SIZE 4\nTYPE F\n"), {"FIELDS"});
  refuse(parse_pcd, fields("FIELDS x y z\nSIZE 4 4\nTYPE F F F\n"), {"SIZE has 2"});
  refuse(parse_pcd, fields("FIELDS x y z\nSIZE 4 4 3\nTYPE F F F\n"), {"'z'", "'3'"});
  refuse(parse_pcd, fields("FIELDS x y\nSIZE 4 4\nTYPE F F\n"), {"one z"});
  refuse(parse_pcd, fields("FIELDS x y z x\nSIZE 4 4 4 4\nTYPE F F F F\n"), {"one x"});
  refuse(parse_pcd, fields("FIELDS x y z w\nSIZE 4 4 4 4\nTYPE F F F F\nCOUNT 1 1 1 99999999\n"),
         {"'99999999'"});
  refuse(parse_pcd, fields("FIELDS x y z w\nSIZE 4 4 4 4\nTYPE F F F F\nCOUNT 1 1 1 0\n"), {"'w'", "'0'"});
  refuse(parse_pcd, fields("VERSION 0.8\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\n"), {"'0.8'"});
}

TEST_CASE("pcd: compressed data that lies about its sizes or is damaged is refused") {
  const Bytes plain(24);
  const Bytes compressed = lzf_compress(plain);
  refuse(parse_pcd, compressed_with(1000, 24, compressed), {"1000"});
  refuse(parse_pcd, compressed_with(compressed.size(), 4294967280, compressed), {"4294967280"});
  refuse(parse_pcd, compressed_with(0, 24, {}), {"0 compressed", "24"});
  refuse(parse_pcd, compressed_with(3, 24, {0xe0, 0xff, 0x10}), {"damaged"});  // copies from before the start
  refuse(parse_pcd, compressed_with(2, 24, {0x1f, 0x00}), {"damaged"});        // literals beyond the end
  refuse(parse_pcd, compressed_with(4, 24, {0x00, 0x07, 0xe0, 0xff}), {"damaged"});
  refuse(parse_pcd, compressed_with(5, 24, {0x00, 0x07, 0xe0, 0xff, 0x00}),
         {"damaged"});  // more than claimed
}

TEST_CASE("bin: sizes that are no whole points and impossible columns are refused") {
  const Bytes bytes(20);
  check_refused([&] { parse_bin(bytes.data(), 20, 4, "some/scan"); }, "some/scan",
                {"20 bytes", "4 float32", "16"});
  for (const int columns : {-1, 0, 2, 65})
    check_refused([&] { read_point_cloud("absent.bin", {.bin_columns = columns}); }, std::to_string(columns),
                  {}, ErrorCode::invalid_argument);
}

TEST_CASE("paths that are not readable files are refused with the system's reason") {
  const TemporaryFolder folder;
  const std::string base = folder.path().string();
  const auto refuse_path = [](const std::string& path, const std::string& reason) {
    check_refused([&] { read_point_cloud(path); }, path, {reason});
  };
  refuse_path(base + "/absent.ply", "No such file or directory");
  std::filesystem::create_directory(base + "/folder.pcd");
  refuse_path(base + "/folder.pcd", "Is a directory");
  std::ofstream(base + "/empty.npy").flush();
  refuse_path(base + "/empty.npy", "empty");
  refuse_path(base + "/empty.npy/scan.npy", "Not a directory");
  std::ofstream(base + "/scan.xyz") << "1 2 3\n";
  refuse_path(base + "/scan.xyz", "'.xyz'");
  REQUIRE(::mkfifo((base + "/pipe.npy").c_str(), 0600) == 0);
  refuse_path(base + "/pipe.npy", "not a regular file");
  if (::geteuid() != 0) {
    std::ofstream(base + "/locked.npy") << "x";
    ::chmod((base + "/locked.npy").c_str(), 0);
    refuse_path(base + "/locked.npy", "Permission denied");
  }
}
