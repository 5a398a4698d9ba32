#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace flexgemm::test {

/// A new empty folder that is removed with what it holds.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  const std::filesystem::path& path() const noexcept { return path_; }
  /// Path of something within.
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  /// Writes a file within and returns its path.
  std::string write(const std::string& name, const std::string& bytes) const;
  std::string write_floats(const std::string& name, const std::vector<float>& values) const;

 private:
  std::filesystem::path path_;
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
