#pragma once

#include <cstdint>
#include <vector>

#include <flexgemm/context.hpp>

namespace flexgemm::bench {

/// Uniform in [-1, 1), the same for the same seed.
std::vector<float> random_floats(std::size_t count, std::uint64_t seed);

/// A tensor of such values, rounded to the storage type of `dtype`, in memory of the context.
struct Tensor {
  Tensor(const Context& context, const Shape& shape, DType dtype, std::uint64_t seed);
  ConstTensorView read() const { return {buffer.data(), dtype, shape}; }
  TensorView write() const { return {buffer.data(), dtype, shape}; }

  Shape shape;
  DType dtype;
  Buffer buffer;
};

}  // namespace flexgemm::bench
