#pragma once

#include <flexgemm/export.hpp>
#include <flexgemm/version.h>  // IWYU pragma: export

namespace flexgemm {

/// Version of the linked library as "major.minor.patch"; compare with the macros to detect a header mismatch.
FLEXGEMM_API const char* version() noexcept;

}  // namespace flexgemm
