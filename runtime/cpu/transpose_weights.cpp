#include "cpu/transpose_weights.hpp"

#include <algorithm>
#include <cstdint>

#include "core/backend.hpp"

namespace flexgemm::detail {

namespace {

template <class Element>
void transpose(CpuDevice& device, const Conv3dOptions& conv, const Element* weight, Element* transposed) {
  constexpr std::int64_t tile = 64;  // of both channels: what a core's first cache holds of either tensor
  const std::int64_t volume = std::int64_t{conv.kernel.x} * conv.kernel.y * conv.kernel.z;
  const std::int64_t in = conv.in_channels;
  const std::int64_t out = conv.out_channels;
  const bool mirrored = is_mirrored(conv.kernel);
  const std::int64_t in_tiles = (in + tile - 1) / tile;
  device.pool.parallel_for(in_tiles * volume, [&](std::int64_t item, int) {
    const std::int64_t v = item % volume;
    const std::int64_t target_v = mirrored ? volume - 1 - v : v;
    const std::int64_t first_in = item / volume * tile;
    const std::int64_t end_in = std::min(in, first_in + tile);
    for (std::int64_t first_out = 0; first_out < out; first_out += tile) {
      const std::int64_t end_out = std::min(out, first_out + tile);
      for (std::int64_t ci = first_in; ci < end_in; ++ci) {
        Element* target = transposed + (ci * volume + target_v) * out;
        for (std::int64_t co = first_out; co < end_out; ++co) {
          target[co] = weight[(co * volume + v) * in + ci];
        }
      }
    }
  });
}

}  // namespace

void run_transpose_weight(CpuDevice& device, const Conv3dOptions& conv, const void* weight,
                          void* transposed) {
  if (size_of(conv.dtype) == sizeof(std::uint16_t)) {
    transpose(device, conv, static_cast<const std::uint16_t*>(weight),
              static_cast<std::uint16_t*>(transposed));
  } else {
    transpose(device, conv, static_cast<const float*>(weight), static_cast<float*>(transposed));
  }
}

}  // namespace flexgemm::detail
