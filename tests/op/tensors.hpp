#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <flexgemm/flexgemm.hpp>

namespace flexgemm::op_test {

/// A tensor in host memory, in the bits that a device stores.
class HostTensor {
 public:
  HostTensor() = default;
  HostTensor(DType dtype, Shape shape);
  /// About normal random numbers of the given standard deviation, rounded to the storage type.
  static HostTensor random(DType dtype, Shape shape, double deviation, std::uint64_t seed);

  DType dtype() const noexcept { return dtype_; }
  const Shape& shape() const noexcept { return shape_; }
  std::int64_t elements() const noexcept { return elements_; }
  std::vector<std::byte>& bytes() noexcept { return bytes_; }
  const std::vector<std::byte>& bytes() const noexcept { return bytes_; }
  double at(std::int64_t index) const noexcept;
  bool all_finite() const noexcept;

 private:
  void set(std::int64_t index, double value) noexcept;
  DType dtype_ = DType::f32;
  Shape shape_;
  std::int64_t elements_ = 0;
  std::vector<std::byte> bytes_;
};

/// A tensor in device memory between two margins that nobody may write.
class DeviceTensor {
 public:
  /// `unaligned`: the first element lies one element past an address that is a multiple of 256.
  DeviceTensor(const Context& context, DType dtype, Shape shape, bool unaligned);

  /// Fills the tensor and its margins with NaN.
  void poison();
  void upload(const HostTensor& source);
  HostTensor download() const;
  /// Whether the margins still hold what `poison` wrote.
  bool margins_intact() const;
  TensorView view() const noexcept { return {address(), dtype_, shape_}; }

 private:
  std::byte* address() const noexcept { return static_cast<std::byte*>(buffer_.data()) + offset_; }
  Context context_;
  DType dtype_;
  Shape shape_;
  std::size_t offset_;
  std::size_t bytes_;
  Buffer buffer_;
};

}  // namespace flexgemm::op_test
