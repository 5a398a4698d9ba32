#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <flexgemm/error.hpp>

#include "scene/npy_writer.hpp"
#include "scene/point_cloud.hpp"
#include "temporary_folder.hpp"

using namespace flexgemm::scene;
using Catch::Matchers::ContainsSubstring;

namespace {

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::size_t files_in(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

void write_floats(const std::filesystem::path& path, const std::vector<float>& values) {
  write_npy(path.string(), "<f4", {static_cast<std::int64_t>(values.size()) / 3, 3}, values.data(),
            values.size() * sizeof(float));
}

/// The message of the Error{io} that writing must end in.
std::string refusal(const std::filesystem::path& path, const std::vector<float>& values) {
  try {
    write_floats(path, values);
  } catch (const flexgemm::Error& error) {
    CHECK(error.code() == flexgemm::ErrorCode::io);
    CHECK_THAT(error.what(), ContainsSubstring(path.string()));
    return error.what();
  }
  return "accepted";
}

/// A file system of 1 MiB, where this process may mount one.
class SmallDisk {
 public:
  SmallDisk() : mounted_(::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, "size=1m") == 0) {}
  ~SmallDisk() {
    if (mounted_) ::umount(folder_.path().c_str());
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
  bool mounted_;
};

}  // namespace

TEST_CASE("written arrays are read back, aligned and with a new file's permissions") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "out.npy";
  const std::vector<float> values{1, 2, 3, -4, 5.5f, 6};
  write_floats(path, values);
  const PointCloud cloud = read_point_cloud(path.string());
  CHECK(cloud.values == values);
  CHECK(cloud.columns == 3);
  CHECK((contents(path).size() - values.size() * 4) % 64 == 0);
  CHECK(files_in(folder.path()) == 1);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == (0666 & ~mask));
}

TEST_CASE("shapes of every number of axes are written as NumPy writes them") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "out.npy";
  const std::vector<std::pair<std::vector<std::int64_t>, std::string>> shapes{
      {{}, "'shape': (), }"}, {{1}, "'shape': (1,), }"}, {{1, 1, 1}, "'shape': (1, 1, 1), }"}};
  const std::int32_t value = 7;
  for (const auto& [shape, text] : shapes) {
    write_npy(path.string(), "<i4", shape, &value, 4);
    INFO(contents(path));
    CHECK(contents(path).substr(0, 8) == std::string("\x93NUMPY\x01\x00", 8));
    CHECK_THAT(contents(path), ContainsSubstring(text));
  }
  write_npy(path.string(), "<f4", {0, 64}, nullptr, 0);
  CHECK(read_point_cloud(path.string()).columns == 64);
}

TEST_CASE("an array whose bytes do not fit its shape is refused before anything is written") {
  const TemporaryFolder folder;
  const auto path = (folder.path() / "out.npy").string();
  const float value = 0;
  const auto refuse = [&](const std::string& descr, const std::vector<std::int64_t>& shape,
                          std::size_t bytes) {
    CHECK_THROWS_AS(write_npy(path, descr, shape, &value, bytes), flexgemm::Error);
  };
  refuse("<f4", {2}, 4);
  refuse("<f4", {-1}, 4);
  refuse("float", {1}, 4);
  refuse("<f'", {1}, 4);
  refuse("<f4", {std::int64_t{1} << 62, 16}, 0);
  CHECK(files_in(folder.path()) == 0);
}

TEST_CASE("a path that cannot be written leaves nothing behind and names the reason") {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "file") << "x";
  std::filesystem::create_directory(folder.path() / "folder.npy");
  CHECK_THAT(refusal(folder.path() / "file" / "out.npy", {1, 2, 3}), ContainsSubstring("Not a directory"));
  CHECK_THAT(refusal(folder.path() / "absent" / "out.npy", {1, 2, 3}), ContainsSubstring("No such file"));
  CHECK_THAT(refusal(folder.path() / "folder.npy", {1, 2, 3}), ContainsSubstring("Is a directory"));
  CHECK_THAT(refusal(folder.path() / std::string(300, 'n'), {1, 2, 3}), ContainsSubstring("too long"));
  CHECK(refusal("", {1, 2, 3}) != "accepted");
  CHECK_THAT(refusal("/dev/null", {1, 2, 3}), ContainsSubstring("not a regular file"));
  CHECK(files_in(folder.path()) == 2);
  if (::geteuid() != 0) {
    std::filesystem::create_directory(folder.path() / "locked");
    ::chmod((folder.path() / "locked").c_str(), 0500);
    CHECK_THAT(refusal(folder.path() / "locked" / "out.npy", {1, 2, 3}),
               ContainsSubstring("Permission denied"));
  }
}

TEST_CASE("a disk that fills leaves the old file and no other") {
  const SmallDisk disk;
  if (!disk.mounted()) SKIP("this process may not mount a small file system");
  const auto path = disk.path() / "out.npy";
  write_floats(path, {1, 2, 3});
  const std::string before = contents(path);
  CHECK_THAT(refusal(path, std::vector<float>(3 << 20)), ContainsSubstring("No space left on device"));
  CHECK(contents(path) == before);
  CHECK(files_in(disk.path()) == 1);
}

TEST_CASE("an existing file is replaced, through a symbolic link too") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "real.npy";
  const auto link = folder.path() / "link.npy";
  write_floats(path, {1, 2, 3});
  std::filesystem::create_symlink("real.npy", link);
  write_floats(link, {4, 5, 6});
  CHECK(std::filesystem::is_symlink(link));
  CHECK(read_point_cloud(path.string()).values == std::vector<float>{4, 5, 6});
}

TEST_CASE("threads that write the same path leave one whole file") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "out.npy";
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i)
    writers.emplace_back([&path, i] {
      for (int repeat = 0; repeat < 5; ++repeat)
        write_floats(path, std::vector<float>(3000, static_cast<float>(i)));
    });
  for (std::thread& writer : writers) writer.join();
  const PointCloud cloud = read_point_cloud(path.string());
  CHECK(cloud.values == std::vector<float>(3000, cloud.values.at(0)));
  CHECK(files_in(folder.path()) == 1);
}
