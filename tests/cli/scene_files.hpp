#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "scene/temporary_folder.hpp"

namespace flexgemm::test {

/// A new empty folder that is removed with what it holds.
class ScratchFolder : public ::TemporaryFolder {
 public:
  /// Writes a file within and returns its path.
  std::string write(const std::string& name, const std::string& bytes) const;
  std::string write_floats(const std::string& name, const std::vector<float>& values) const;
};

std::string read_file(const std::string& path);

/// A version 1.0 .npy of little-endian float32.
std::string npy_of(std::int64_t rows, std::int64_t columns, const std::vector<float>& values);

/// What an .npy holds, for the arrays that flexgemm-run writes: two dimensions, C order.
template <class T>
struct NpyArray {
  std::string descr;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<T> values;
};

/// Reads a two-dimensional .npy file; fails the test if its header and its size do not agree.
template <class T>
NpyArray<T> read_npy(const std::string& path);

extern template NpyArray<float> read_npy<float>(const std::string&);
extern template NpyArray<std::int32_t> read_npy<std::int32_t>(const std::string&);

}  // namespace flexgemm::test
