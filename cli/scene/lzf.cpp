#include "scene/lzf.hpp"

#include <cstddef>
#include <cstring>

namespace flexgemm::scene {

bool lzf_decompress(std::span<const std::uint8_t> input, std::span<std::uint8_t> output) noexcept {
  std::size_t in = 0;
  std::size_t out = 0;
  while (in < input.size()) {
    const std::size_t control = input[in++];
    if (control < 32) {  // control + 1 bytes as they are
      const std::size_t length = control + 1;
      if (length > input.size() - in || length > output.size() - out) return false;
      std::memcpy(&output[out], &input[in], length);
      in += length;
      out += length;
      continue;
    }
    // A copy from the output: 3 bits of length, 13 bits of distance, longer lengths in one more byte.
    std::size_t length = (control >> 5) + 2;
    const std::size_t bytes_left = input.size() - in;
    if (bytes_left < (control >= 0xe0 ? 2U : 1U)) return false;
    if (control >= 0xe0) length += input[in++];
    const std::size_t distance = ((control & 31) << 8) + input[in++] + 1;
    if (distance > out || length > output.size() - out) return false;
    for (std::size_t i = 0; i < length; ++i) output[out + i] = output[out + i - distance];  // may overlap
    out += length;
  }
  return out == output.size();
}

}  // namespace flexgemm::scene
