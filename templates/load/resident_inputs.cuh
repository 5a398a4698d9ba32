#pragma once

#include "config.cuh"
#include "ptx/copy.cuh"

namespace flexgemm {

/// Rows of feats that a phase of a block of the resident layout needs, in shared memory: each once, at a
/// position of its own, with its 16-byte chunks permuted by its color, so that ldmatrix reads rows of eight
/// distinct colors without bank conflicts. Position 0 is a row of zeros. A place is
/// `position | color << 13`; the layout is defined in parameters.cuh.
template <class Config>
struct ResidentInputs {
  static constexpr int kRowBytes = Config::kInChannels * static_cast<int>(sizeof(typename Config::Storage));
  static constexpr int kChunks = kRowBytes / 16;
  static constexpr int kPitch = maximum(128, kRowBytes);
  static constexpr int kRowsAtOnce = Config::kThreads / kChunks;
  static_assert(kRowBytes == 32 || kRowBytes == 64 || kRowBytes == 128 || kRowBytes == 256,
                "rows are whole chunks, a power of two of them");
  static_assert(Config::kThreads % kChunks == 0, "threads must cover whole rows");

  /// Bytes of `capacity` rows and the row of zeros.
  __host__ __device__ static constexpr int bytes(int capacity) { return (1 + capacity) * kPitch; }

  /// Address of 16-byte chunk `chunk` of the row at `place`.
  __device__ __forceinline__ static unsigned address(unsigned base, unsigned place, int chunk) {
    const unsigned position = place & 0x1fff;
    const unsigned color = place >> 13;
    return base + position * kPitch + ((static_cast<unsigned>(chunk) ^ color) << 4);
  }

  /// Starts copies of `count` rows to positions 1, 2, ...; `input(i)` is the i-th row, `row | color << 29`.
  /// To be called by all threads, which then commit and wait.
  template <class Input>
  __device__ __forceinline__ static void copy(unsigned base, const void* feats, const Input& input,
                                              int count) {
    const int thread = static_cast<int>(threadIdx.x);
    if (thread < kPitch / 16) copy_async<16>(base + thread * 16, feats, false);
    const int chunk = thread % kChunks;
    const unsigned char* from = static_cast<const unsigned char*>(feats) + chunk * 16;
#pragma unroll 4
    for (int i = thread / kChunks; i < count; i += kRowsAtOnce) {
      const unsigned word = input(i);
      const unsigned place = static_cast<unsigned>(1 + i) | word >> 29 << 13;
      copy_async<16>(address(base, place, chunk),
                     from + static_cast<long long>(word & 0x1fffffff) * kRowBytes, true);
    }
  }

  /// The same from a list in global memory.
  __device__ __forceinline__ static void copy(unsigned base, const void* feats, const unsigned* inputs,
                                              int count) {
    copy(
        base, feats, [inputs](int i) { return __ldg(inputs + i); }, count);
  }
};

}  // namespace flexgemm
