#include "scene/scalar_type.hpp"

#include <type_traits>

#include <flexgemm/half.hpp>

namespace flexgemm::scene {
namespace {

template <class T>
float as_float(T value) noexcept {
  if constexpr (std::is_same_v<T, f16>) {
    return to_float(value);
  } else {
    return static_cast<float>(value);
  }
}

template <class Function>
auto with_type(ScalarType type, const Function& function) {
  switch (type) {
    case ScalarType::i8:
      return function(std::int8_t{});
    case ScalarType::u8:
      return function(std::uint8_t{});
    case ScalarType::i16:
      return function(std::int16_t{});
    case ScalarType::u16:
      return function(std::uint16_t{});
    case ScalarType::i32:
      return function(std::int32_t{});
    case ScalarType::u32:
      return function(std::uint32_t{});
    case ScalarType::i64:
      return function(std::int64_t{});
    case ScalarType::u64:
      return function(std::uint64_t{});
    case ScalarType::f16:
      return function(f16{});
    case ScalarType::f32:
      return function(float{});
    case ScalarType::f64:
      break;
  }
  return function(double{});
}

template <class T, std::endian order>
void convert(const std::uint8_t* source, std::size_t stride, std::int64_t count, float* target,
             std::int64_t target_stride) noexcept {
  for (std::int64_t i = 0; i < count; ++i) {
    *target = as_float(load<T>(source, order));
    if (i + 1 == count) break;  // never form a pointer past the arrays
    source += stride;
    target += target_stride;
  }
}

}  // namespace

std::size_t size_of(ScalarType type) noexcept {
  return with_type(type, [](auto value) { return sizeof(value); });
}

void convert_to_float(const StridedValues& source, std::int64_t count, float* target,
                      std::int64_t target_stride) noexcept {
  with_type(source.type, [&](auto value) {
    using T = decltype(value);
    if (source.order == std::endian::little) {
      convert<T, std::endian::little>(source.data, source.stride, count, target, target_stride);
    } else {
      convert<T, std::endian::big>(source.data, source.stride, count, target, target_stride);
    }
  });
}

std::int64_t load_integer(const std::uint8_t* bytes, ScalarType type, std::endian order) noexcept {
  return with_type(type, [&](auto value) -> std::int64_t {
    using T = decltype(value);
    if constexpr (std::is_integral_v<T>) {
      return static_cast<std::int64_t>(load<T>(bytes, order));
    } else {
      return 0;
    }
  });
}

}  // namespace flexgemm::scene
