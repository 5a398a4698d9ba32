#include "capi/structs.hpp"

namespace flexgemm::capi {

namespace {

/// Larger than any struct will ever be: a larger size was never set.
constexpr std::size_t largest_struct = 4096;

}  // namespace

void require_struct_size(std::size_t size, const char* name) {
  if (size < sizeof(std::size_t) || size > largest_struct) {
    detail::fail(ErrorCode::invalid_argument,
                 "{}->struct_size is {}; zero the struct and set struct_size to its sizeof", name, size);
  }
}

void require_zero_tail(const void* given, std::size_t given_size, std::size_t known, const char* name) {
  const auto* bytes = static_cast<const unsigned char*>(given);
  for (std::size_t i = known; i < given_size; ++i) {
    if (bytes[i] != 0) {
      detail::fail(
          ErrorCode::invalid_argument,
          "{} sets a field at byte {} that this version of the library does not know; its struct has {} "
          "bytes here: use a newer library or leave the field 0",
          name, i, known);
    }
  }
}

}  // namespace flexgemm::capi
