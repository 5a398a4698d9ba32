#include "op/tensors.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <thread>

#include "op/random.hpp"

namespace flexgemm::op_test {

namespace {

constexpr std::size_t margin = 256;
constexpr std::byte poison_byte{0xff};  // two or four of them are a NaN in every type

/// Calls work(begin, end) for parts of [0, count) on all processors.
template <class Work>
void parallel_for(std::int64_t count, const Work& work) {
  const std::int64_t parts = count < 100'000 ? 1 : std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> threads;
  for (std::int64_t part = 1; part < parts; ++part) {
    threads.emplace_back([=, &work] { work(count * part / parts, count * (part + 1) / parts); });
  }
  work(0, count / parts);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

HostTensor::HostTensor(DType dtype, Shape shape)
    : dtype_(storage_type(dtype)),
      shape_(shape),
      elements_(shape.elements()),
      bytes_(static_cast<std::size_t>(elements_) * size_of(dtype)) {}

HostTensor HostTensor::random(DType dtype, Shape shape, double deviation, std::uint64_t seed) {
  HostTensor tensor(dtype, shape);
  parallel_for(tensor.elements_, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      tensor.set(i, deviation * random_normal(seed, static_cast<std::uint64_t>(i)));
    }
  });
  return tensor;
}

double HostTensor::at(std::int64_t index) const noexcept {
  const std::byte* element = bytes_.data() + static_cast<std::size_t>(index) * size_of(dtype_);
  if (dtype_ == DType::f32) {
    float value;
    std::memcpy(&value, element, sizeof value);
    return value;
  }
  std::uint16_t bits;
  std::memcpy(&bits, element, sizeof bits);
  return dtype_ == DType::f16 ? to_float(f16{bits}) : to_float(bf16{bits});
}

void HostTensor::set(std::int64_t index, double value) noexcept {
  std::byte* element = bytes_.data() + static_cast<std::size_t>(index) * size_of(dtype_);
  const auto rounded = static_cast<float>(value);
  if (dtype_ == DType::f32) {
    std::memcpy(element, &rounded, sizeof rounded);
    return;
  }
  const std::uint16_t bits = dtype_ == DType::f16 ? to_f16(rounded).bits : to_bf16(rounded).bits;
  std::memcpy(element, &bits, sizeof bits);
}

bool HostTensor::all_finite() const noexcept {
  for (std::int64_t i = 0; i < elements_; ++i) {
    if (!std::isfinite(at(i))) return false;
  }
  return true;
}

DeviceTensor::DeviceTensor(const Context& context, DType dtype, Shape shape, bool unaligned)
    : context_(context),
      dtype_(storage_type(dtype)),
      shape_(shape),
      offset_(margin + (unaligned ? size_of(dtype) : 0)),
      bytes_(static_cast<std::size_t>(shape.elements()) * size_of(dtype)),
      buffer_(context.allocate(offset_ + bytes_ + margin)) {
  poison();
}

void DeviceTensor::poison() {
  const std::vector<std::byte> content(buffer_.bytes(), poison_byte);
  context_.copy_to_device(buffer_.data(), content.data(), content.size());
}

void DeviceTensor::upload(const HostTensor& source) {
  context_.copy_to_device(address(), source.bytes().data(), bytes_);
}

HostTensor DeviceTensor::download() const {
  HostTensor tensor(dtype_, shape_);
  context_.copy_to_host(tensor.bytes().data(), address(), bytes_);
  return tensor;
}

bool DeviceTensor::margins_intact() const {
  std::vector<std::byte> before(offset_);
  std::vector<std::byte> after(margin);
  context_.copy_to_host(before.data(), buffer_.data(), before.size());
  context_.copy_to_host(after.data(), address() + bytes_, after.size());
  const auto intact = [](std::byte byte) { return byte == poison_byte; };
  return std::all_of(before.begin(), before.end(), intact) && std::all_of(after.begin(), after.end(), intact);
}

}  // namespace flexgemm::op_test
