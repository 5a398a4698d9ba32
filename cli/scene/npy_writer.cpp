#include "scene/npy_writer.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scene/fail.hpp"
#include "scene/file_descriptor.hpp"

namespace flexgemm::scene {
namespace {

[[noreturn]] void fail_writing(const std::string& path, int error_number) {
  throw Error(ErrorCode::io, fmt::format("cannot write {}: {}", path, system_reason(error_number)));
}

/// Magic, version, length and dictionary, padded so that the data begins at a multiple of 64 bytes.
std::string npy_preamble(const std::string& descr, const std::vector<std::int64_t>& shape) {
  std::string extents;
  for (const std::int64_t extent : shape) extents += fmt::format("{}, ", extent);
  if (!shape.empty()) extents.resize(extents.size() - (shape.size() == 1 ? 1 : 2));  // (4,) but (4, 3)
  std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, extents);
  constexpr std::size_t before = 10;
  header.append(63 - (before + header.size()) % 64, ' ');
  header += '\n';
  std::string preamble("\x93NUMPY\x01\x00", 8);
  preamble += static_cast<char>(header.size() & 0xff);
  preamble += static_cast<char>(header.size() >> 8);
  return preamble + header;
}

void check_bytes(const std::string& descr, const std::vector<std::int64_t>& shape, std::size_t bytes) {
  constexpr std::size_t most_axes = 32;  // NumPy's own limit
  std::uint64_t element = 0;
  if (descr.size() > 2) std::from_chars(descr.data() + 2, descr.data() + descr.size(), element);
  if (element == 0 || descr.find_first_of("'\\\n") != std::string::npos || shape.size() > most_axes)
    fail_argument("'{}' with {} axes is not an array that .npy can hold", descr, shape.size());
  std::uint64_t needed = element;
  for (const std::int64_t extent : shape) {
    if (extent < 0) fail_argument("an axis of the array has the extent {}", extent);
    if (__builtin_mul_overflow(needed, static_cast<std::uint64_t>(extent), &needed))
      fail_argument("the array has more bytes than 64 bits can count");
  }
  if (needed != bytes)
    fail_argument("the shape and type '{}' need {} bytes, and {} were given", descr, needed, bytes);
}

/// A file beside the target that disappears unless it is renamed to it.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& target) : target_(target), file_(create()) {}
  ~TemporaryFile() {
    if (!name_.empty()) ::unlink(name_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void write(const void* data, std::size_t bytes) {
    const char* rest = static_cast<const char*>(data);
    while (bytes > 0) {
      const ssize_t written = ::write(file_.get(), rest, bytes);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) fail_writing(target_.string(), written == 0 ? EIO : errno);
      rest += written;
      bytes -= static_cast<std::size_t>(written);
    }
  }

  /// Makes the contents durable, gives the file its name, then makes the name durable.
  void publish() {
    if (::fsync(file_.get()) != 0) fail_writing(target_.string(), errno);
    if (file_.close() != 0) fail_writing(target_.string(), errno);
    const FileDescriptor directory(::open(directory_of(target_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (::rename(name_.c_str(), target_.c_str()) != 0) fail_writing(target_.string(), errno);
    name_.clear();
    // A directory that may be written but not read cannot be opened for this, and some file systems have no
    // such call: the file is then complete all the same.
    if (directory.get() >= 0 && ::fsync(directory.get()) != 0 && errno == EIO)
      fail_writing(target_.string(), errno);
  }

 private:
  static std::filesystem::path directory_of(const std::filesystem::path& target) {
    return target.has_parent_path() ? target.parent_path() : std::filesystem::path(".");
  }

  /// A new file, named after the process and a running number; a name that is taken (by a dead process, or
  /// one of another container) is passed over. Mode 0666 less the umask, unlike mkstemp: the result is to
  /// have the permissions of any new file.
  int create() {
    static std::atomic<unsigned> calls{0};
    constexpr int attempts = 1000;
    for (int attempt = 0; attempt < attempts; ++attempt) {
      const auto name = directory_of(target_) / fmt::format(".flexgemm-{}-{}.partial", ::getpid(), calls++);
      const int descriptor = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor >= 0) {
        name_ = name;
        return descriptor;
      }
      if (errno != EEXIST) break;
    }
    fail_writing(target_.string(), errno);
  }

  std::filesystem::path target_;
  std::filesystem::path name_;
  FileDescriptor file_;
};

/// What a symbolic link leads to, so that the link survives; refuses targets that a rename would destroy.
std::filesystem::path replaceable_target(const std::string& path) {
  struct stat status {};
  if (path.empty()) fail_writing("''", ENOENT);
  if (::stat(path.c_str(), &status) != 0) return path;
  if (S_ISDIR(status.st_mode)) fail_writing(path, EISDIR);
  if (!S_ISREG(status.st_mode))
    throw Error(ErrorCode::io, fmt::format("cannot write {}: not a regular file", path));
  std::error_code error;
  const std::filesystem::path resolved = std::filesystem::canonical(path, error);
  return error ? std::filesystem::path(path) : resolved;
}

}  // namespace

void write_npy(const std::string& path, const std::string& descr, const std::vector<std::int64_t>& shape,
               const void* data, std::size_t bytes) {
  check_bytes(descr, shape, bytes);
  const std::string preamble = npy_preamble(descr, shape);
  TemporaryFile file(replaceable_target(path));
  file.write(preamble.data(), preamble.size());
  file.write(data, bytes);
  file.publish();
}

}  // namespace flexgemm::scene
