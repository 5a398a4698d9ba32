#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include <catch2/catch_test_macros.hpp>

namespace flexgemm::test {

/// Where a real scan would be: scans are no part of the repository. In the folder that the environment
/// variable FLEXGEMM_TEST_SCANS names, else beside the sources.
inline std::string scan_path(const std::string& name) {
  const char* const folder = std::getenv("FLEXGEMM_TEST_SCANS");
  return (std::filesystem::path(folder != nullptr ? folder : FLEXGEMM_SHARED_DATA) / name).string();
}

/// Path of a real scan; nothing where it is not.
inline std::optional<std::string> find_scan(const std::string& name) {
  const std::string path = scan_path(name);
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  return path;
}

/// Path of a real scan, or a skipped test that says which file is absent.
inline std::string shared_scan(const std::string& name) {
  const std::optional<std::string> path = find_scan(name);
  if (!path) SKIP("the scan is absent: " << scan_path(name));
  return *path;
}

}  // namespace flexgemm::test
