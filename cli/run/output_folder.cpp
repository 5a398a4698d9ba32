#include "run/output_folder.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include <unistd.h>

#include "common/failure.hpp"
#include "scene/npy_writer.hpp"

namespace flexgemm::run {

using namespace cli;

namespace {

namespace fs = std::filesystem;

constexpr std::array file_names{"coords.npy", "feats.npy"};

[[noreturn]] void fail_to_write(const fs::path& path, const std::error_code& reason) {
  fail(ErrorCode::io, "cannot write to '{}': {}", path.string(), reason.message());
}

std::error_code last_error() { return {errno, std::generic_category()}; }

/// `folder` without a trailing slash, and absolute: every path has a parent.
fs::path normalized(const std::string& folder) {
  std::error_code error;
  fs::path path = fs::absolute(folder, error).lexically_normal();
  if (error) fail_to_write(folder, error);
  if (!path.has_filename()) path = path.parent_path();
  return path;
}

/// Folders that write_folder has made; removed, where empty, unless the writing succeeds.
class CreatedFolders {
 public:
  CreatedFolders() = default;
  CreatedFolders(const CreatedFolders&) = delete;
  CreatedFolders& operator=(const CreatedFolders&) = delete;
  ~CreatedFolders() {
    std::error_code ignored;
    for (auto folder = created_.rbegin(); folder != created_.rend(); ++folder) fs::remove(*folder, ignored);
  }

  void create_with_parents(const fs::path& folder) {
    std::error_code error;
    if (fs::is_directory(folder, error)) return;
    if (folder.has_parent_path() && folder.parent_path() != folder) create_with_parents(folder.parent_path());
    if (fs::create_directory(folder, error)) created_.push_back(folder);
    if (error) fail_to_write(folder, error);
  }

  void keep() noexcept { created_.clear(); }

 private:
  std::vector<fs::path> created_;
};

/// A folder within the target that holds the outputs until all are complete; removed with what it holds.
class StagingFolder {
 public:
  explicit StagingFolder(const fs::path& target) {
    std::string pattern = (target / ".flexgemm-run-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) fail_to_write(target, last_error());
    path_ = pattern;
  }
  StagingFolder(const StagingFolder&) = delete;
  StagingFolder& operator=(const StagingFolder&) = delete;
  ~StagingFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const noexcept { return path_; }

 private:
  fs::path path_;
};

}  // namespace

void require_writable_folder(const std::string& folder) {
  fs::path existing = normalized(folder);
  std::error_code error;
  for (const char* file_name : file_names) {
    const fs::path target = existing / file_name;
    const fs::file_status status = fs::status(target, error);
    if (fs::exists(status) && !fs::is_regular_file(status)) {
      fail(ErrorCode::io, "cannot write '{}': something that is no regular file is in its place",
           target.string());
    }
  }
  while (fs::status(existing, error).type() == fs::file_type::not_found &&
         existing != existing.parent_path()) {
    existing = existing.parent_path();
  }
  if (!fs::is_directory(existing, error)) {
    fail(ErrorCode::io, "cannot write to '{}': '{}' is not a folder", folder, existing.string());
  }
  if (access(existing.c_str(), W_OK | X_OK) != 0) fail_to_write(existing, last_error());
}

void write_folder(const std::string& folder, const FolderContents& contents) {
  const fs::path target = normalized(folder);
  CreatedFolders created;
  created.create_with_parents(target);
  const StagingFolder staging(target);
  const std::int64_t rows = static_cast<std::int64_t>(contents.coords.size()) / 4;
  scene::write_npy((staging.path() / "coords.npy").string(), "<i4", {rows, 4}, contents.coords.data(),
                   contents.coords.size() * sizeof(std::int32_t));
  scene::write_npy((staging.path() / "feats.npy").string(), "<f4", {rows, contents.channels},
                   contents.feats.data(), contents.feats.size() * sizeof(float));
  for (const char* file_name : file_names) {
    std::error_code error;
    fs::rename(staging.path() / file_name, target / file_name, error);
    if (error) fail_to_write(target / file_name, error);
  }
  created.keep();
}

}  // namespace flexgemm::run
