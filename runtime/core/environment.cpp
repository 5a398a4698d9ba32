#include "core/environment.hpp"

#include <cstdlib>

namespace flexgemm::detail {

std::optional<std::string> environment_variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): the library never sets variables
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

}  // namespace flexgemm::detail
