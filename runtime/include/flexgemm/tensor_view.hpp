#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include <flexgemm/dtype.hpp>
#include <flexgemm/export.hpp>
#include <flexgemm/half.hpp>

namespace flexgemm {

/// Extents of a contiguous row-major tensor, outermost first. At most five dimensions.
class FLEXGEMM_API Shape {
 public:
  static constexpr int max_rank = 5;

  Shape() noexcept = default;
  /// Throws Error{invalid_argument} for more than five extents or a negative one.
  Shape(std::initializer_list<std::int64_t> extents);

  int rank() const noexcept { return rank_; }
  std::int64_t operator[](int dimension) const noexcept {
    return extents_[static_cast<std::size_t>(dimension)];
  }
  /// Product of the extents; 1 for rank 0. Throws Error{invalid_argument} if it exceeds 2^63 - 1.
  std::int64_t elements() const;

  friend bool operator==(const Shape&, const Shape&) noexcept = default;

 private:
  std::array<std::int64_t, max_rank> extents_{};
  int rank_ = 0;
};

/// "[128, 64]".
FLEXGEMM_API std::string to_string(const Shape& shape);

namespace detail {
template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<f16> {
  static constexpr DType value = DType::f16;
};
template <>
struct DTypeOf<bf16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::i32;
};
}  // namespace detail

/// Non-owning view of a contiguous row-major tensor that a call may write. The memory belongs to the caller,
/// lies on the context's device and must outlive the call (for CUDA: the work that the call put on the
/// stream). A default-constructed view means "absent".
struct TensorView {
  void* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;

  TensorView() noexcept = default;
  TensorView(void* data_, DType dtype_, Shape shape_) noexcept : data(data_), dtype(dtype_), shape(shape_) {}
  template <class T>
  TensorView(T* data_, Shape shape_) noexcept
      : data(data_), dtype(detail::DTypeOf<T>::value), shape(shape_) {}

  /// True for a view that was given a shape, even one with no elements.
  bool present() const noexcept { return shape.rank() > 0; }
  /// Bytes that the elements occupy. Throws as Shape::elements does.
  std::int64_t bytes() const { return shape.elements() * static_cast<std::int64_t>(size_of(dtype)); }
};

/// The same for memory that a call only reads.
struct ConstTensorView {
  const void* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;

  ConstTensorView() noexcept = default;
  ConstTensorView(const void* data_, DType dtype_, Shape shape_) noexcept
      : data(data_), dtype(dtype_), shape(shape_) {}
  template <class T>
  ConstTensorView(const T* data_, Shape shape_) noexcept
      : data(data_), dtype(detail::DTypeOf<T>::value), shape(shape_) {}
  ConstTensorView(const TensorView& view) noexcept  // NOLINT(google-explicit-constructor)
      : data(view.data), dtype(view.dtype), shape(view.shape) {}

  bool present() const noexcept { return shape.rank() > 0; }
  std::int64_t bytes() const { return shape.elements() * static_cast<std::int64_t>(size_of(dtype)); }
};

}  // namespace flexgemm
