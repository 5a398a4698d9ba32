#pragma once

// templates/ptx/copy.cuh for the emulated machine.

namespace flexgemm {

inline unsigned shared_address(const void* pointer) { return emulator::shared_offset(pointer); }

template <int kBytes>
inline void copy_async(unsigned target, const void* source, bool valid) {
  emulator::copy_async(target, source, kBytes, valid);
}
inline const void* whole_address(const void* address) { return address; }
template <long long kPitchBytes>
inline const void* row_address(const void* first, int row) {
  return reinterpret_cast<const void*>(reinterpret_cast<unsigned long long>(first) +
                                       static_cast<unsigned long long>(row * kPitchBytes));
}
template <int kBytes>
inline void copy_async_row(unsigned target, const void* source, int row) {
  emulator::copy_async(target, source, kBytes, row >= 0);
}

inline void copy_commit() { emulator::copy_commit(); }

template <int kPending>
inline void copy_wait() {
  emulator::copy_wait(kPending);
}

inline void copy_wait_all() { emulator::copy_wait_all(); }

inline void copy_arrive(unsigned barrier) { emulator::copy_arrive(barrier); }

}  // namespace flexgemm
