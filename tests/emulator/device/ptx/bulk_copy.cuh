#pragma once

// templates/ptx/bulk_copy.cuh for the emulated machine.

namespace flexgemm {

inline void bulk_copy_box(unsigned target, const void* map, unsigned barrier, int x, int y, int z) {
  emulator::copy_box(0, target, map, barrier, x, y, z);
}
inline void bulk_copy_box_to(unsigned short blocks, unsigned target, const void* map, unsigned barrier, int x,
                             int y, int z) {
  emulator::copy_box(blocks, target, map, barrier, x, y, z);
}
inline void prefetch_tensor_map(const void*) {}
template <int kRegisters>
inline void shrink_registers() {}
template <int kRegisters>
inline void grow_registers() {}

}  // namespace flexgemm
