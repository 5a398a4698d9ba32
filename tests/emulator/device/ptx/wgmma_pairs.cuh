#pragma once

#include "ptx/wgmma.cuh"

// templates/ptx/wgmma_pairs.cuh for the emulated machine.

namespace flexgemm {

template <int kBlockBytes>
inline unsigned long long wgmma_pairs_descriptor(unsigned shared_address) {
  return static_cast<unsigned long long>((shared_address & 0x3ffff) >> 4) |
         (static_cast<unsigned long long>(kBlockBytes / 16) << 16) | (64ull << 32) | (1ull << 62);
}

}  // namespace flexgemm
