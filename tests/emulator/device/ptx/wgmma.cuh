#pragma once

#include "config.cuh"

// templates/ptx/wgmma.cuh for the emulated machine.

namespace flexgemm {

inline void wgmma_fence() {}
inline void wgmma_commit() { emulator::wgmma_commit(); }
template <int kPending>
inline void wgmma_wait() {
  emulator::wgmma_wait(kPending);
}
inline void fence_async_proxy() { emulator::fence_async_proxy(); }

inline unsigned long long wgmma_descriptor(unsigned shared_address) {
  return static_cast<unsigned long long>((shared_address & 0x3ffff) >> 4) | (1ull << 16) | (64ull << 32) |
         (1ull << 62);
}

template <ComputeType kCompute, int kColumns, bool kFirstMnMajor = false, bool kSecondMnMajor = kFirstMnMajor>
struct Wgmma {
  static void run(float (&d)[kColumns / 2], unsigned long long a, unsigned long long b) {
    emulator::wgmma(d, kColumns, a, b, static_cast<emulator::Number>(kCompute), kFirstMnMajor,
                    kSecondMnMajor);
  }
};

}  // namespace flexgemm
