#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace flexgemm::detail {

/// Appends little-endian integers and bytes: the cache's binary formats.
class BinaryWriter {
 public:
  template <class Integer>
  void integer(Integer value) {
    static_assert(std::is_unsigned_v<Integer>);
    for (std::size_t i = 0; i < sizeof(Integer); ++i) {
      bytes_.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xff));
    }
  }
  void bytes(std::span<const char> data) { bytes_.insert(bytes_.end(), data.begin(), data.end()); }
  void text(std::string_view data) { bytes({data.data(), data.size()}); }

  std::vector<char>& data() noexcept { return bytes_; }

 private:
  std::vector<char> bytes_;
};

/// Reads what BinaryWriter wrote; never past the end: then `ok()` turns false and values are 0 or empty.
class BinaryReader {
 public:
  explicit BinaryReader(std::span<const char> data) noexcept : rest_(data) {}

  template <class Integer>
  Integer integer() noexcept {
    static_assert(std::is_unsigned_v<Integer>);
    std::uint64_t value = 0;
    const std::span<const char> taken = bytes(sizeof(Integer));
    for (std::size_t i = 0; i < taken.size(); ++i) {
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(taken[i])) << (8 * i);
    }
    return static_cast<Integer>(value);
  }
  std::span<const char> bytes(std::uint64_t count) noexcept {
    if (count > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const std::span<const char> taken = rest_.first(static_cast<std::size_t>(count));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  std::string text(std::uint64_t count) {
    const std::span<const char> taken = bytes(count);
    return {taken.begin(), taken.end()};
  }

  bool ok() const noexcept { return ok_; }
  std::size_t remaining() const noexcept { return rest_.size(); }

 private:
  std::span<const char> rest_;
  bool ok_ = true;
};

}  // namespace flexgemm::detail
