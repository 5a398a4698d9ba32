#pragma once

#include <optional>
#include <string>

namespace flexgemm::detail {

/// Value of an environment variable; none if it is unset or empty. The only place that reads the environment.
std::optional<std::string> environment_variable(const char* name);

}  // namespace flexgemm::detail
