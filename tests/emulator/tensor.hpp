#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include <flexgemm/half.hpp>

#include "codegen/kernel_spec.hpp"
#include "emulator/global_memory.hpp"
#include "op/random.hpp"

namespace flexgemm::emulator {

/// A vector of numbers rounded to a storage type, as doubles and as the bits that a kernel reads or writes.
class Tensor {
 public:
  /// What a kernel is to write: NaN until it does.
  Tensor(codegen::ElementType type, std::int64_t count, int alignment = 16)
      : type_(type),
        count_(count),
        buffer_(static_cast<std::size_t>(count * codegen::storage_bytes(type)),
                static_cast<std::size_t>(alignment)) {}

  static Tensor random(codegen::ElementType type, std::int64_t count, double deviation, std::uint64_t seed,
                       int alignment = 16) {
    Tensor tensor(type, count, alignment);
    for (std::int64_t i = 0; i < count; ++i)
      tensor.set(i,
                 static_cast<float>(deviation * op_test::random_normal(seed, static_cast<std::uint64_t>(i))));
    return tensor;
  }

  double at(std::int64_t index) const {
    if (codegen::storage_bytes(type_) == 4) return word<float>(index);
    const auto bits = word<std::uint16_t>(index);
    return type_ == codegen::ElementType::f16 ? to_float(f16{bits}) : to_float(bf16{bits});
  }
  std::vector<double> values() const {
    std::vector<double> all(static_cast<std::size_t>(count_));
    for (std::int64_t i = 0; i < count_; ++i) all[static_cast<std::size_t>(i)] = at(i);
    return all;
  }
  /// Puts a NaN, as computations on a GPU give it, in the place of an element of four bytes.
  void spoil(std::int64_t index) { set_word(index, 0x7fffffffu); }
  void* data() const { return buffer_.data(); }
  std::vector<std::byte> bits() const { return {buffer_.data(), buffer_.data() + buffer_.bytes()}; }
  std::int64_t count() const { return count_; }
  Tensor(Tensor&& other) = default;

 private:
  template <class Word>
  Word word(std::int64_t index) const {
    Word value;
    std::memcpy(&value, buffer_.data() + index * static_cast<std::int64_t>(sizeof(Word)), sizeof(Word));
    return value;
  }
  void set(std::int64_t index, float value) {
    if (codegen::storage_bytes(type_) == 4) {
      set_word(index, value);
    } else if (type_ == codegen::ElementType::f16) {
      set_word(index, to_f16(value).bits);
    } else {
      set_word(index, to_bf16(value).bits);
    }
  }
  template <class Word>
  void set_word(std::int64_t index, Word word) {
    std::memcpy(buffer_.data() + index * static_cast<std::int64_t>(sizeof(word)), &word, sizeof(word));
  }

  codegen::ElementType type_;
  std::int64_t count_;
  Buffer buffer_;
};

}  // namespace flexgemm::emulator
