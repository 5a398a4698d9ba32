#include "random_data.hpp"

#include <flexgemm/half.hpp>

namespace flexgemm::bench {

std::vector<float> random_floats(std::size_t count, std::uint64_t seed) {
  std::vector<float> values(count);
  std::uint64_t state = seed;
  for (float& value :
       values) {  // splitmix64 (Steele, Lea and Flood 2014): fast enough for hundreds of megabytes
    state += 0x9e3779b97f4a7c15u;
    std::uint64_t bits = state;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
    value = static_cast<float>(static_cast<std::int64_t>(bits ^ (bits >> 31)) >> 40) * 0x1p-23F;
  }
  return values;
}

Tensor::Tensor(const Context& context, const Shape& shape_, DType dtype_, std::uint64_t seed)
    : shape(shape_),
      dtype(storage_type(dtype_)),
      buffer(context.allocate(static_cast<std::size_t>(shape_.elements()) * size_of(dtype_))) {
  const std::vector<float> values = random_floats(static_cast<std::size_t>(shape.elements()), seed);
  if (size_of(dtype) == sizeof(float)) {
    context.copy_to_device(buffer.data(), values.data(), buffer.bytes());
    return;
  }
  std::vector<std::uint16_t> rounded;
  rounded.reserve(values.size());
  for (const float value : values)
    rounded.push_back(dtype == DType::f16 ? to_f16(value).bits : to_bf16(value).bits);
  context.copy_to_device(buffer.data(), rounded.data(), buffer.bytes());
}

}  // namespace flexgemm::bench
