#include <flexgemm/error.hpp>
#include <flexgemm/version.hpp>

#define FLEXGEMM_TEXT_OF(x) #x
#define FLEXGEMM_TEXT(x) FLEXGEMM_TEXT_OF(x)

namespace flexgemm {

const char* version() noexcept {
  return FLEXGEMM_TEXT(FLEXGEMM_VERSION_MAJOR) "." FLEXGEMM_TEXT(FLEXGEMM_VERSION_MINOR) "." FLEXGEMM_TEXT(
      FLEXGEMM_VERSION_PATCH);
}

const char* name(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::invalid_coordinate:
      return "invalid_coordinate";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::no_device:
      return "no_device";
    case ErrorCode::out_of_memory:
      return "out_of_memory";
    case ErrorCode::driver:
      return "driver";
    case ErrorCode::compile:
      return "compile";
    case ErrorCode::io:
      return "io";
    case ErrorCode::internal:
      return "internal";
  }
  return "unknown";
}

Error::Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
Error::~Error() = default;

}  // namespace flexgemm
