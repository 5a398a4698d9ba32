#pragma once

#include <optional>
#include <string>
#include <vector>

namespace flexgemm::test {

/// NVRTC, opened at run time: what the compile test needs of it. For one thread.
class NvrtcLibrary {
 public:
  /// Nothing if no libnvrtc can be opened; then `looked_for` says where it was looked for.
  static std::optional<NvrtcLibrary> open(std::string& looked_for);

  struct Result {
    bool compiled = false;
    std::string log;  ///< errors and warnings, and ptxas' report if the options ask for one
  };
  Result compile(const std::string& source, const std::vector<std::string>& options) const;

 private:
  using Program = void*;
  int (*create_)(Program*, const char*, const char*, int, const char* const*, const char* const*) = nullptr;
  int (*destroy_)(Program*) = nullptr;
  int (*compile_)(Program, int, const char* const*) = nullptr;
  int (*log_size_)(Program, std::size_t*) = nullptr;
  int (*log_)(Program, char*) = nullptr;
};

}  // namespace flexgemm::test
