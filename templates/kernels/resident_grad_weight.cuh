#pragma once

#include "config.cuh"
#include "load/resident_inputs.cuh"
#include "load/resident_items.cuh"
#include "parameters.cuh"
#include "ptx/copy.cuh"
#include "ptx/mma.cuh"
#include "ptx/wgmma_pairs.cuh"
#include "ptx/wgmma_registers.cuh"

namespace flexgemm {

/// Weight gradients of narrow layers, kOffsets kernel offsets a block of threads (parameters.cuh defines the
/// operands). The reduction runs over the slots of blocks of the resident layout, 16 a step: the rows of
/// feats that a block needs lie in shared memory once, and so do its rows of grad_out. M is (offset, input
/// channel), 64 at a time: feats come transposed through ldmatrix into registers, a row of the neighbor that
/// each lane's slot has. N is the output channels, which lie MN-major as copied. A product that none of its
/// 16 slots needs is left out. The next block's rows arrive while one is multiplied, if kStages is two.
template <class Config>
struct ResidentGradWeight {
  using Storage = typename Config::Storage;
  using Inputs = ResidentInputs<Config>;
  using Items = ResidentItems<Config>;
  static constexpr int kRows = Config::kRowTile;
  static constexpr int kSteps = kRows / 16;
  static constexpr int kWarpgroups = Config::kWarpsM / 4;
  static constexpr int kChannels = Config::kInChannels;
  static constexpr int kColumns = Config::kColumnTile;
  static constexpr int kMBlocks = ceil_divide(Config::kOffsets * kChannels, 64);
  static constexpr int kHeld = ceil_divide(kMBlocks, kWarpgroups);  // of them by a warpgroup
  static constexpr unsigned kGroupMask = Config::kOffsets == 32 ? ~0u : (1u << Config::kOffsets) - 1;

  // Shared memory: [stages of grad_out, inputs, locals and masks][lists of rows of two items]
  static constexpr int kGradOutBytes = ceil_divide(kColumns, 64) * kRows * 128;
  static constexpr int kInputBytes = Inputs::bytes(Config::kCapacity);
  static constexpr int kLocalBytes = Config::kOffsets * kRows * 2;
  static constexpr int kMaskBytes = kSteps * 4;
  static constexpr int kStageBytes =
      ceil_divide(kGradOutBytes + kInputBytes + kLocalBytes + kMaskBytes, 1024) * 1024;
  static constexpr int kListBegin = Config::kStages * kStageBytes;
  static_assert(ceil_divide(kListBegin + Items::kListBytes, 128) * 128 == Config::kSharedBytes,
                "codegen and kernel disagree on shared memory");
  static_assert(Config::kWarpsN == 1 && Config::kWarpsM % 4 == 0, "warpgroups are stacked along M");
  static_assert(Config::kThreads == 32 * Config::kWarpsM, "one thread a lane");
  static_assert(kChannels % 64 == 0 || 64 % kChannels == 0, "a warp's 16 channels are of one offset");
  static_assert(kRows % 64 == 0 && Config::kOutChannels % 8 == 0, "copies move whole vectors");
  static_assert(Config::kStages == 1 || Config::kStages == 2, "an item is multiplied while one arrives");

  /// Slots summed before the sums join those in memory: the matrix unit truncates as it adds.
  static constexpr int kMostItems = 65536 / kRows;

  __device__ __forceinline__ static void run(const ResidentGradWeightParameters& parameters) {
    extern __shared__ __align__(1024) unsigned char shared[];
    const unsigned base = shared_address(shared);
    const int first_offset = static_cast<int>(blockIdx.x) * Config::kOffsets;
    Items items(parameters, shared + kListBegin, static_cast<int>(blockIdx.y));
    items.fetch_lists(items.current, 0);
    items.fetch_lists(items.next, 1);
    copy_commit();
    copy_wait<0>();
    __syncthreads();
    copy(base, parameters, items, items.current, 0, first_offset);
    bool more = true;
    for (int number = 0; more;) {
      float sums[kHeld][kColumns / 2] = {};
      do {
        copy_commit();
        copy_wait<0>();
        fence_async_proxy();
        __syncthreads();
        if constexpr (Config::kStages == 2)
          copy(base + (number + 1) % 2 * kStageBytes, parameters, items, items.next, number + 1,
               first_offset);
        items.fetch_lists(items.after, number + 2);
        copy_commit();
        items.look_ahead();
        multiply(sums, shared + number % Config::kStages * kStageBytes,
                 items.current.offsets >> first_offset & kGroupMask, first_offset);
        if constexpr (Config::kStages == 1) {
          __syncthreads();
          copy(base, parameters, items, items.next, number + 1, first_offset);
        }
        more = items.exists(items.next);
        items.advance();
        ++number;
      } while (more && number % kMostItems != 0);
      const long long part = static_cast<long long>(blockIdx.x) * parameters.parts + blockIdx.y;
      store(sums, parameters.output + part * (Config::kOutChannels * Config::kOffsets * kChannels),
            number > kMostItems);
    }
    copy_wait<0>();
  }

 private:
  /// Starts the copies of an item: rows of grad_out and of feats, and for the group's offsets where each
  /// slot finds its neighbor.
  __device__ __forceinline__ static void copy(unsigned stage, const ResidentGradWeightParameters& parameters,
                                              const Items& items, const typename Items::Item& item,
                                              int number, int first_offset) {
    if (!items.exists(item) || (item.offsets >> first_offset & kGroupMask) == 0) return;
    constexpr int kVectors = Config::kOutChannels / 8;
    const int* order = items.order(number);
    const unsigned char* grad_out = static_cast<const unsigned char*>(parameters.grad_out);
    const int thread = static_cast<int>(threadIdx.x);
#pragma unroll 4
    for (int i = thread; i < kRows * kVectors; i += Config::kThreads) {
      const int slot = i / kVectors;
      const int vector = i % kVectors;
      const int row = order[slot];
      const bool valid = row >= 0;
      copy_async<16>(stage + vector / 8 * (kRows * 128) + slot * 128 + ((vector % 8 ^ (slot & 7)) << 4),
                     grad_out + (row >= 0 ? row : 0ll) * (kVectors * 16) + vector * 16, valid);
    }
    const unsigned* inputs = items.inputs(number);
    Inputs::copy(
        stage + kGradOutBytes, parameters.feats, [inputs](int i) { return inputs[i]; }, item.inputs());
    const unsigned locals = stage + kGradOutBytes + kInputBytes;
    const int offsets = minimum(Config::kOffsets, Config::kVolume - first_offset);
    const unsigned short* from =
        parameters.locals + (static_cast<long long>(item.block) * Config::kVolume + first_offset) * kRows;
    for (int i = thread; i < offsets * (kRows / 8); i += Config::kThreads)
      copy_async<16>(locals + i * 16, from + i * 8, true);
    if (thread < kMaskBytes / 16)
      copy_async<16>(locals + kLocalBytes + thread * 16,
                     parameters.masks + static_cast<long long>(item.block) * kSteps + thread * 4, true);
  }

  /// What the i-th block of 64 rows of M of a warpgroup is: of the group's offsets and channels.
  struct MBlock {
    int index;

    __device__ __forceinline__ MBlock(int i) : index(static_cast<int>(threadIdx.x) / 128 + i * kWarpgroups) {}
    __device__ __forceinline__ bool exists() const { return kMBlocks % kWarpgroups == 0 || index < kMBlocks; }
    /// The calling warp's first row.
    __device__ __forceinline__ int row() const {
      return index * 64 + static_cast<int>(threadIdx.x) / 32 % 4 * 16;
    }
    __device__ __forceinline__ int offset() const { return row() / kChannels; }
    __device__ __forceinline__ int chunk() const { return row() % kChannels / 8; }
    /// A bit for each of its offsets.
    __device__ __forceinline__ unsigned offsets() const {
      constexpr unsigned kOffsetMask = kChannels < 64 ? (1u << 64 / kChannels) - 1 : 1;
      return exists() ? kOffsetMask << (index * 64 / kChannels) : 0;
    }
  };

  /// Adds an item's products, two steps of 16 slots at a time. Every branch is whole from fence to commit:
  /// ptxas would serialize products of several. What a warpgroup waits for, the others hide.
  __device__ __forceinline__ static void multiply(float (&sums)[kHeld][kColumns / 2],
                                                  const unsigned char* stage, unsigned offsets,
                                                  int first_offset) {
    if (offsets == 0) return;
    const int lane = threadIdx.x % 32;
    const unsigned inputs = shared_address(stage) + kGradOutBytes;
    const unsigned char* locals_begin = stage + kGradOutBytes + kInputBytes;
    const unsigned short* locals =
        reinterpret_cast<const unsigned short*>(locals_begin) + lane / 16 * 8 + lane % 8;
    const uint2* masks = reinterpret_cast<const uint2*>(locals_begin + kLocalBytes);
    // A step is in the lower half of the descriptor alone.
    const unsigned long long grad_out = wgmma_pairs_descriptor<kRows * 128>(shared_address(stage));
    const unsigned upper = static_cast<unsigned>(grad_out >> 32);
    unsigned lower = static_cast<unsigned>(grad_out);
    const auto descriptor = [&](unsigned steps) {
      return static_cast<unsigned long long>(upper) << 32 | (lower + steps * 128);
    };

    // Where the neighbors of the lane's slots lie: at the row of zeros for an offset that is not of this
    // phase.
    unsigned places[kHeld][2];
    unsigned fragments[2][4];
    const auto read_places = [&](int i, int pair) {
      const MBlock block(i);
      // A block of one offset is multiplied only where that offset is there.
      const bool present = kChannels >= 64
                               ? block.exists()
                               : block.offset() < Config::kOffsets && (offsets >> block.offset() & 1) != 0;
      const unsigned short* from = locals + block.offset() * kRows + pair * 32;
      places[i][0] = present ? from[0] : 0;
      places[i][1] = present ? from[16] : 0;
    };
    const auto mask_of = [&](int pair) {
      const uint2 mask = masks[pair];
      return uint2{mask.x >> first_offset & offsets, mask.y >> first_offset & offsets};
    };
#pragma unroll
    for (int i = 0; i < kHeld; ++i) read_places(i, 0);
    uint2 mask = mask_of(0);
#pragma unroll 1
    for (int pair = 0; pair < kSteps / 2; ++pair) {
      const uint2 next_mask = pair + 1 < kSteps / 2 ? mask_of(pair + 1) : uint2{0, 0};
#pragma unroll
      for (int i = 0; i < kHeld; ++i) {
        const MBlock block(i);
        const bool first = (mask.x & block.offsets()) != 0;
        const bool second = (mask.y & block.offsets()) != 0;
        const int chunk = block.chunk() + lane / 8 % 2;
        if (first && second) {
          const unsigned addresses[2] = {Inputs::address(inputs, places[i][0], chunk),
                                         Inputs::address(inputs, places[i][1], chunk)};
          add_products<2>(sums[i], fragments, addresses, descriptor(0), descriptor(1));
        } else if (first || second) {
          const unsigned place = first ? places[i][0] : places[i][1];
          const unsigned addresses[2] = {Inputs::address(inputs, place, chunk)};
          add_products<1>(sums[i], fragments, addresses, descriptor(first ? 0 : 1), 0);
        }
        if (((next_mask.x | next_mask.y) & block.offsets()) != 0) read_places(i, pair + 1);
      }
      mask = next_mask;
      lower += 2 * 128;
    }
    wgmma_wait<0>();
  }

  /// Nothing of the warpgroup is under way while registers are loaded: ptxas keeps what a product reads only
  /// in straight code (ptx/wgmma_registers.cuh).
  template <int kCount>
  __device__ __forceinline__ static void add_products(float (&sums)[kColumns / 2],
                                                      unsigned (&fragments)[2][4],
                                                      const unsigned (&addresses)[2],
                                                      unsigned long long first, unsigned long long second) {
    wgmma_wait<0>();
#pragma unroll
    for (int k = 0; k < kCount; ++k) load_matrix_x4_transposed(fragments[k], addresses[k]);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < kCount; ++k)
      WgmmaRegisters<Config::kCompute, kColumns, true>::run(sums, fragments[k], k == 0 ? first : second);
    wgmma_commit();
  }

  /// Brings the sums to output [Co, offset of the group, Ci], to what is there if `add`.
  /// Eight lanes write the 32 bytes of a sector.
  __device__ __forceinline__ static void store(const float (&sums)[kHeld][kColumns / 2], float* output,
                                               bool add) {
    constexpr int kPitch = Config::kOffsets * kChannels;
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      const int first_row = MBlock(i).row() + lane / 4;
#pragma unroll
      for (int j = 0; j < kColumns / 2; ++j) {
        const int row = first_row + j / 2 % 2 * 8;
        const int column = j / 4 * 8 + lane % 4 * 2 + j % 2;
        if (row < kPitch && (Config::kOutChannels == kColumns || column < Config::kOutChannels)) {
          float* to = output + column * kPitch + row;
          *to = add ? *to + sums[i][j] : sums[i][j];
        }
      }
    }
  }
};

template <class Config>
__device__ __forceinline__ void resident_grad_weight(const ResidentGradWeightParameters& parameters) {
  ResidentGradWeight<Config>::run(parameters);
}

}  // namespace flexgemm
