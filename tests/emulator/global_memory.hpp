#pragma once

#include <cstddef>
#include <cstring>
#include <vector>

namespace flexgemm::emulator {

/// Memory that emulated kernels may read and write, filled with NaN. The page behind its end can be neither
/// read nor written, and the emulated loads refuse what lies in no buffer. Not thread-safe.
class Buffer {
 public:
  /// Its address is a multiple of `alignment` and, below 16, of no more, so that what presumes more is found.
  explicit Buffer(std::size_t bytes, std::size_t alignment = 16);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&&) = delete;

  template <class T>
  explicit Buffer(const std::vector<T>& values) : Buffer(values.size() * sizeof(T)) {
    if (!values.empty()) std::memcpy(data_, values.data(), values.size() * sizeof(T));
  }

  std::byte* data() const noexcept { return data_; }
  std::size_t bytes() const noexcept { return bytes_; }
  void poison() const noexcept;

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_;
  std::byte* mapping_ = nullptr;
  std::size_t mapped_;
};

/// Whether [pointer, pointer + bytes) lies in one buffer.
bool is_in_a_buffer(const void* pointer, std::size_t bytes) noexcept;

}  // namespace flexgemm::emulator
