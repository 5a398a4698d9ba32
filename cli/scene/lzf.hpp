#pragma once

#include <cstdint>
#include <span>

namespace flexgemm::scene {

/// Most bytes that one compressed byte can stand for: three bytes make a copy of at most 264.
inline constexpr std::uint64_t lzf_largest_ratio = 88;

/// Decompresses LZF (the stream of M. Lehmann's LibLZF, which .pcd files carry) into `output`. True when the
/// input is sound and fills the output exactly; never reads or writes outside the two spans.
bool lzf_decompress(std::span<const std::uint8_t> input, std::span<std::uint8_t> output) noexcept;

}  // namespace flexgemm::scene
