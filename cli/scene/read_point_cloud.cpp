#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <new>
#include <span>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scene/fail.hpp"
#include "scene/file_descriptor.hpp"
#include "scene/point_cloud.hpp"
#include "scene/scalar_type.hpp"

namespace flexgemm::scene {
namespace {

struct FileBytes {
  std::unique_ptr<std::uint8_t[]> data;
  std::size_t size = 0;
};

[[noreturn]] void fail_reading(const std::string& path, int error_number) {
  throw Error(ErrorCode::io, fmt::format("cannot read {}: {}", path, system_reason(error_number)));
}

/// The whole file. Read, not mapped: a mapping would kill the process if the file shrank meanwhile.
FileBytes read_file(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) fail_reading(path, errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail_reading(path, errno);
  if (S_ISDIR(status.st_mode)) fail_reading(path, EISDIR);
  if (!S_ISREG(status.st_mode)) fail_input(path, "not a regular file");
  FileBytes bytes;
  const auto size = static_cast<std::size_t>(status.st_size);
  bytes.data = std::make_unique_for_overwrite<std::uint8_t[]>(size);
  while (bytes.size < size) {
    const ssize_t received = ::read(file.get(), bytes.data.get() + bytes.size, size - bytes.size);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) fail_reading(path, errno);
    if (received == 0)
      fail_input(path, "the file became shorter while it was read: {} of {} bytes", bytes.size, size);
    bytes.size += static_cast<std::size_t>(received);
  }
  return bytes;
}

std::string lower_case_extension(const std::string& path) {
  std::string extension = std::filesystem::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return extension;
}

}  // namespace

PointCloud parse_bin(const std::uint8_t* data, std::size_t size, int columns, const std::string& what) {
  if (columns < 3 || columns > 64)
    fail_argument("bin_columns is {}; a .bin file has 3 to 64 values a point", columns);
  const std::size_t row_bytes = sizeof(float) * static_cast<std::size_t>(columns);
  if (size % row_bytes != 0)
    fail_input(what,
               "{} bytes are not a whole number of points of {} float32 values ({} bytes); check the number "
               "of columns",
               size, columns, row_bytes);
  PointCloud cloud;
  cloud.columns = columns;
  cloud.values.resize(size / sizeof(float));
  convert_to_float({data, sizeof(float), ScalarType::f32, std::endian::little},
                   static_cast<std::int64_t>(cloud.values.size()), cloud.values.data(), 1);
  return cloud;
}

PointCloud read_point_cloud(const std::string& path, const ReadOptions& options) {
  const std::string extension = lower_case_extension(path);
  const bool is_bin = extension == ".bin";
  if (is_bin) parse_bin(nullptr, 0, options.bin_columns, path);  // bad columns first: they are the caller's
  const auto parse = extension == ".npy"   ? parse_npy
                     : extension == ".npz" ? parse_npz
                     : extension == ".ply" ? parse_ply
                     : extension == ".pcd" ? parse_pcd
                                           : nullptr;
  try {
    const FileBytes bytes = read_file(path);
    if (parse == nullptr && !is_bin)
      fail_input(path, "the extension {} is unknown; .npy, .npz, .ply, .pcd and .bin can be read",
                 quote(extension));
    if (is_bin) return parse_bin(bytes.data.get(), bytes.size, options.bin_columns, path);
    if (bytes.size == 0) fail_input(path, "the file is empty");
    return parse(bytes.data.get(), bytes.size, path);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::out_of_memory, fmt::format("{}: not enough memory to read the file", path));
  }
}

}  // namespace flexgemm::scene
