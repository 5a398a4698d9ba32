#pragma once

#include <flexgemm/export.hpp>

// The build reads the project's version from these three lines.
#define FLEXGEMM_VERSION_MAJOR 0
#define FLEXGEMM_VERSION_MINOR 1
#define FLEXGEMM_VERSION_PATCH 0

namespace flexgemm {

/// Version of the linked library as "major.minor.patch"; compare with the macros to detect a header mismatch.
FLEXGEMM_API const char* version() noexcept;

}  // namespace flexgemm
