#include "core/log.hpp"

#include <cstdio>

#include "core/environment.hpp"

namespace flexgemm::detail {

int verbosity() noexcept {
  static const int level = [] {
    const auto text = environment_variable("FLEXGEMM_VERBOSE");
    if (!text) return 0;
    return *text == "0" ? 0 : *text == "2" ? 2 : 1;
  }();
  return level;
}

void write_log(const std::string& text) noexcept {
  try {
    const std::string line = "flexgemm: " + text + "\n";
    std::fwrite(line.data(), 1, line.size(), stderr);
  } catch (...) {  // a log line is never worth failing for
  }
}

}  // namespace flexgemm::detail
