#include "scene_files.hpp"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <regex>
#include <stdexcept>

#include <catch2/catch_test_macros.hpp>
#include <fmt/format.h>

namespace flexgemm::test {

namespace fs = std::filesystem;

std::string ScratchFolder::write(const std::string& name, const std::string& bytes) const {
  const std::string path = *this / name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

std::string ScratchFolder::write_floats(const std::string& name, const std::vector<float>& values) const {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return write(name, bytes);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string npy_of(std::int64_t rows, std::int64_t columns, const std::vector<float>& values) {
  std::string header =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, columns);
  header.resize((10 + header.size() + 64) / 64 * 64 - 10, ' ');
  header.back() = '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  return bytes;
}

template <class T>
NpyArray<T> read_npy(const std::string& path) {
  const std::string bytes = read_file(path);
  REQUIRE(bytes.size() >= 10);
  REQUIRE(bytes.substr(0, 8) == std::string("\x93NUMPY\x01\x00", 8));
  const std::size_t header_size =
      static_cast<unsigned char>(bytes[8]) + 256u * static_cast<unsigned char>(bytes[9]);
  REQUIRE(bytes.size() >= 10 + header_size);
  const std::string header = bytes.substr(10, header_size);
  std::smatch match;
  REQUIRE(std::regex_search(header, match, std::regex("'descr': '([^']+)'.*'shape': \\((\\d+), (\\d+)\\)")));
  NpyArray<T> array{match[1], std::stoll(match[2]), std::stoll(match[3]), {}};
  array.values.resize(static_cast<std::size_t>(array.rows * array.columns));
  REQUIRE(bytes.size() == 10 + header_size + array.values.size() * sizeof(T));
  if (!array.values.empty())
    std::memcpy(array.values.data(), bytes.data() + 10 + header_size, array.values.size() * sizeof(T));
  return array;
}

template NpyArray<float> read_npy<float>(const std::string&);
template NpyArray<std::int32_t> read_npy<std::int32_t>(const std::string&);

}  // namespace flexgemm::test
