#pragma once

// Asynchronous copies from global to shared memory (PTX ISA, cp.async; sm_80 and up). One instruction a
// function.

namespace flexgemm {

__device__ __forceinline__ unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

/// Copies kBytes (4, 8 or 16), or writes zeros without reading `source` if `valid` is false.
template <int kBytes>
__device__ __forceinline__ void copy_async(unsigned target, const void* source, bool valid) {
  const int source_bytes = valid ? kBytes : 0;
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(source), "r"(source_bytes)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(target), "l"(source), "n"(kBytes),
                 "r"(source_bytes)
                 : "memory");
  }
}

/// The address itself, as one sum: the compiler would take it apart and add up its parts for every row.
__device__ __forceinline__ const void* whole_address(const void* address) {
  asm("" : "+l"(address));
  return address;
}

/// Address `row` times kPitchBytes on from `first`: one instruction if `first` is a whole address.
template <long long kPitchBytes>
__device__ __forceinline__ const void* row_address(const void* first, int row) {
  return static_cast<const char*>(first) + row * kPitchBytes;
}

/// copy_async() of row number `row`, which is missing if negative: one comparison, whose outcome the copy
/// takes.
template <int kBytes>
__device__ __forceinline__ void copy_async_row(unsigned target, const void* source, int row) {
  if constexpr (kBytes == 16) {
    asm volatile(
        "{\n.reg .pred missing;\n.reg .b32 bytes;\n"
        "setp.lt.s32 missing, %2, 0;\nselp.b32 bytes, 0, 16, missing;\n"
        "cp.async.cg.shared.global [%0], [%1], 16, bytes;\n}" ::"r"(target),
        "l"(source), "r"(row)
        : "memory");
  } else {
    asm volatile(
        "{\n.reg .pred missing;\n.reg .b32 bytes;\n"
        "setp.lt.s32 missing, %3, 0;\nselp.b32 bytes, 0, %2, missing;\n"
        "cp.async.ca.shared.global [%0], [%1], %2, bytes;\n}" ::"r"(target),
        "l"(source), "n"(kBytes), "r"(row)
        : "memory");
  }
}

__device__ __forceinline__ void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/// Waits until at most kPending of this thread's latest groups are still under way.
template <int kPending>
__device__ __forceinline__ void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

/// Waits until none of this thread's copies is under way.
__device__ __forceinline__ void copy_wait_all() { asm volatile("cp.async.wait_all;" ::: "memory"); }

/// Has this thread's copies so far arrive at `barrier`, an address in shared memory, once all have landed:
/// one arrival, which its phase expects (PTX ISA, cp.async.mbarrier.arrive.noinc; sm_80 and up).
__device__ __forceinline__ void copy_arrive(unsigned barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
}

}  // namespace flexgemm
