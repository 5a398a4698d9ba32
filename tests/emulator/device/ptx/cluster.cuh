#pragma once

// templates/ptx/cluster.cuh for the emulated machine.

namespace flexgemm {

inline unsigned cluster_rank() { return emulator::cluster_rank(); }
inline void cluster_sync() { emulator::cluster_barrier(); }
inline void barrier_arrive_in(unsigned barrier, unsigned rank) { emulator::barrier_arrive_in(barrier, rank); }

}  // namespace flexgemm
