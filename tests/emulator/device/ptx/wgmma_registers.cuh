#pragma once

#include "ptx/wgmma.cuh"

// templates/ptx/wgmma_registers.cuh for the emulated machine.

namespace flexgemm {

template <ComputeType kCompute, int kColumns, bool kMnMajor = false>
struct WgmmaRegisters {
  static void run(float (&d)[kColumns / 2], const unsigned (&a)[4], unsigned long long b) {
    emulator::wgmma_registers(d, kColumns, a, b, static_cast<emulator::Number>(kCompute), kMnMajor);
  }
};

inline void wgmma_release(unsigned (&)[4]) {}

}  // namespace flexgemm
