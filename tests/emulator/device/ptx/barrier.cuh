#pragma once

// templates/ptx/barrier.cuh for the emulated machine.

namespace flexgemm {

inline void barrier_init(unsigned barrier, int arrivals) { emulator::barrier_init(barrier, arrivals); }
inline void barrier_init_fence() {}
inline void barrier_arrive(unsigned barrier) { emulator::barrier_arrive(barrier, 0); }
inline void barrier_arrive_expecting(unsigned barrier, int bytes) {
  emulator::barrier_arrive(barrier, bytes);
}
inline void barrier_wait(unsigned barrier, unsigned parity) { emulator::barrier_wait(barrier, parity); }
inline void warps_sync(int id, int threads) { emulator::named_barrier(id, threads); }

inline int load_acquire(const int* flag) { return __ldg(flag); }
inline void add_release(int* flag, int value) { atomicAdd(flag, value); }

}  // namespace flexgemm
