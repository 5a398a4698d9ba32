#pragma once

#include <stdexcept>
#include <string>

#include <flexgemm/export.hpp>

namespace flexgemm {

/// What kind of thing went wrong. Programs branch on the code; people read the message.
enum class ErrorCode {
  invalid_argument,    ///< a value, shape, type or pointer that the call cannot accept
  invalid_coordinate,  ///< a coordinate outside the grid, or the same coordinate twice
  unsupported,         ///< a valid request that this device or backend cannot serve
  no_device,           ///< the device does not exist, or its driver cannot be loaded
  out_of_memory,       ///< host or device memory is exhausted
  driver,              ///< the CUDA driver reported a failure
  compile,             ///< the kernel compiler rejected a generated kernel
  io,                  ///< a file could not be read or written
  internal,            ///< a bug in the library: please report it with the message
};

/// Stable lower-case name of a code, such as "invalid_argument".
FLEXGEMM_API const char* name(ErrorCode code) noexcept;

/// The one exception type of the library. `what()` is a full sentence with the offending values and what to
/// do.
class FLEXGEMM_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message);
  ~Error() override;
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace flexgemm
