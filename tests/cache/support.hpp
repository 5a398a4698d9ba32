#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include <flexgemm/cache.hpp>

#include "cache/cache_folder.hpp"
#include "cache/kernel_store.hpp"
#include "codegen/kernel_spec.hpp"
#include "scene/temporary_folder.hpp"

namespace flexgemm::cache_test {

/// A kernel that was never compiled: all of it follows from its number.
struct MadeKernel {
  std::string hash;
  codegen::KernelSpec spec;
  detail::CompiledKernel compiled;
};
MadeKernel made_kernel(std::uint64_t number, std::size_t image_bytes = 3000);
KernelImage image_of(const MadeKernel& kernel);

/// A kernel whose hash is the one that this library gives its source. Different numbers, 0 to 7, give
/// different ones.
KernelImage current_kernel(int number, const char* architecture = "sm_90a");

/// A tuning result; all of it follows from its number. Numbers that differ by `devices` are for one device.
TuningEntry made_entry(std::int64_t number, std::int64_t devices = 1);

/// The cache in a folder.
std::shared_ptr<const detail::CacheFolder> cache_in(const std::filesystem::path& folder,
                                                    std::uint64_t limit_bytes = 0);
CacheOptions options_for(const std::filesystem::path& folder);

std::vector<char> read_file(const std::filesystem::path& file);
void write_file(const std::filesystem::path& file, const std::vector<char>& bytes);
/// Names of the files in a folder, sorted.
std::vector<std::string> files_in(const std::filesystem::path& folder);

/// What a child process did: 0 if `action` returned true; what it wrote to stderr.
struct ChildResult {
  int status = 0;  ///< exit status; 128 + signal if it was killed
  std::string log;
};
constexpr uid_t nobody = 65534;
/// Runs `action` in a child process, as another user if one is given. A child that hangs is killed by an
/// alarm.
ChildResult in_child(const std::function<bool()>& action, std::optional<uid_t> user = std::nullopt);
/// The user under which permission bits count: nobody when the tests run as root, else none in particular.
std::optional<uid_t> ordinary_user();
/// Gives a folder and all in it to the user.
void give_to(const std::filesystem::path& folder, std::optional<uid_t> user);

}  // namespace flexgemm::cache_test
