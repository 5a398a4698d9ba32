#pragma once

// Hopper's copy engine (PTX ISA, cp.async.bulk.tensor; sm_90 and up). One instruction a function.

namespace flexgemm {

/// Copies the box at (x, y, z) of a three-dimensional tensor to shared memory and completes its bytes on
/// `barrier`. Elements outside the tensor are zeros. `map` lies in a kernel parameter.
__device__ __forceinline__ void bulk_copy_box(unsigned target, const void* map, unsigned barrier, int x,
                                              int y, int z) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], "
      "[%2];" ::"r"(target),
      "l"(map), "r"(barrier), "r"(x), "r"(y), "r"(z)
      : "memory");
}

/// The same to the same place of every block of the cluster whose bit is set; each block's barrier at the
/// place of `barrier` completes the bytes.
__device__ __forceinline__ void bulk_copy_box_to(unsigned short blocks, unsigned target, const void* map,
                                                 unsigned barrier, int x, int y, int z) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], "
      "[%1, {%3, %4, %5}], [%2], %6;" ::"r"(target),
      "l"(map), "r"(barrier), "r"(x), "r"(y), "r"(z), "h"(blocks)
      : "memory");
}

/// Fetches the map itself ahead of its first use.
__device__ __forceinline__ void prefetch_tensor_map(const void* map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

/// Gives registers of this warpgroup's threads back, or takes more (PTX ISA, setmaxnreg; sm_90a): kRegisters
/// a thread afterwards, a multiple of 8.
template <int kRegisters>
__device__ __forceinline__ void shrink_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void grow_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

}  // namespace flexgemm
