#pragma once

#include "config.cuh"

// templates/ptx/mma.cuh for the emulated machine.

namespace flexgemm {

inline void load_matrix_x4(unsigned (&fragment)[4], unsigned address) {
  emulator::load_matrix(fragment, address, false);
}
inline void load_matrix_x4_transposed(unsigned (&fragment)[4], unsigned address) {
  emulator::load_matrix(fragment, address, true);
}

template <ComputeType kCompute>
inline void mma(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  emulator::multiply_fragments(d, a, b0, b1, static_cast<emulator::Number>(kCompute));
}

}  // namespace flexgemm
