#pragma once

// Versioned structs: how much of a caller's struct is read or written.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <flexgemm/flexgemm_tuning.h>

#include "capi/guard.hpp"

namespace flexgemm::capi {

/// What a caller's bytes may be copied into: no padding, which a caller need not have zeroed and in which a
/// later version would put a field.
template <class Struct>
inline constexpr bool has_padding = !std::has_unique_object_representations_v<Struct>;
/// The trait says so of every struct with a float: their fields are counted by hand, as words of 4 and of 8
/// bytes after struct_size.
template <class Struct, std::size_t Words4, std::size_t Words8>
inline constexpr bool is_longer_than = sizeof(Struct) != sizeof(std::size_t) + 4 * Words4 + 8 * Words8;
template <>
inline constexpr bool has_padding<flexgemm_epilogue> = is_longer_than<flexgemm_epilogue, 4, 1>;
template <>
inline constexpr bool has_padding<flexgemm_frame_map_options> =
    is_longer_than<flexgemm_frame_map_options, 8, 1>;
template <>
inline constexpr bool has_padding<flexgemm_voxelizer_options> =
    is_longer_than<flexgemm_voxelizer_options, 12, 2>;
template <>
inline constexpr bool has_padding<flexgemm_tune_candidate> = is_longer_than<flexgemm_tune_candidate, 4, 6>;
template <>
inline constexpr bool has_padding<flexgemm_tune_summary> = is_longer_than<flexgemm_tune_summary, 2, 5>;
template <>
inline constexpr bool has_padding<flexgemm_pass_description> =
    is_longer_than<flexgemm_pass_description, 2, 3>;
template <class Struct>
inline constexpr bool is_versioned = std::is_trivially_copyable_v<Struct> && !has_padding<Struct>;

/// Throws Error{invalid_argument} for a struct_size that was never set.
void require_struct_size(std::size_t size, const char* name);

/// Throws Error{invalid_argument} unless the bytes of a caller's struct past `known` are zero.
void require_zero_tail(const void* given, std::size_t given_size, std::size_t known, const char* name);

/// The caller's struct in this library's size: what the caller does not have is zero, and what this library
/// does not know must be. `name` is the argument's.
template <class Struct>
Struct read_struct(const Struct* given, const char* name) {
  static_assert(is_versioned<Struct> && offsetof(Struct, struct_size) == 0);
  require_pointer(given, name);
  std::size_t size = 0;
  std::memcpy(&size, given, sizeof size);
  require_struct_size(size, name);
  require_zero_tail(given, size, sizeof(Struct), name);
  Struct result{};
  std::memcpy(static_cast<void*>(&result), given, std::min(size, sizeof(Struct)));
  result.struct_size = sizeof(Struct);
  return result;
}

/// The same for an optional struct: all defaults if it is NULL.
template <class Struct>
Struct read_optional_struct(const Struct* given, const char* name) {
  return given == nullptr ? Struct{} : read_struct(given, name);
}

/// Fills in as much of a caller's struct as it has, and zeros what is past this library's; struct_size stays.
template <class Struct>
void write_struct(Struct* target, Struct values, const char* name) {
  static_assert(is_versioned<Struct> && offsetof(Struct, struct_size) == 0);
  require_pointer(target, name);
  std::size_t size = 0;
  std::memcpy(&size, target, sizeof size);
  require_struct_size(size, name);
  values.struct_size = size;
  std::memcpy(static_cast<void*>(target), &values, std::min(size, sizeof(Struct)));
  if (size > sizeof(Struct)) {
    std::memset(reinterpret_cast<char*>(target) + sizeof(Struct), 0, size - sizeof(Struct));
  }
}

}  // namespace flexgemm::capi
