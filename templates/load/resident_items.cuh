#pragma once

#include "config.cuh"
#include "parameters.cuh"
#include "ptx/copy.cuh"

namespace flexgemm {

/// The phases of the blocks part, part + parts, ... of a resident layout, one after the other, for
/// resident_grad_weight. What is needed of an item is asked for long before: its place in the layout three
/// items ahead, its lists of rows two ahead, the rows themselves one ahead.
template <class Config>
struct ResidentItems {
  static constexpr int kRows = Config::kRowTile;
  static constexpr int kListBytes = 2 * (kRows + ceil_divide(Config::kCapacity, 4) * 4) * 4;  // of two items

  /// A phase of a block; none if the block is not one of the layout's.
  struct Item {
    int block;
    unsigned offsets;  // kernel offsets of the phase that the block has
    long long first_input;
    long long end_input;

    __device__ __forceinline__ int inputs() const { return static_cast<int>(end_input - first_input); }
  };

  Item current;  // that is multiplied
  Item next;     // whose rows are copied meanwhile
  Item after;    // whose lists are copied meanwhile

  __device__ __forceinline__ ResidentItems(const ResidentGradWeightParameters& parameters,
                                           unsigned char* lists, int part)
      : parameters_(parameters), lists_(lists), block_(part), phase_(0), phase_end_(0) {
    locate();
    current = take();
    next = take();
    after = take();
  }

  __device__ __forceinline__ bool exists(const Item& item) const { return item.block < parameters_.blocks; }

  /// Starts the copies of the lists of an item: output rows of its slots, rows of its inputs. Lists of items
  /// of even and of odd number lie apart.
  __device__ __forceinline__ void fetch_lists(const Item& item, int number) const {
    if (!exists(item) || item.offsets == 0) return;
    const unsigned order = shared_address(lists(number));
    const int* rows = parameters_.order + static_cast<long long>(item.block) * kRows;
    for (int i = static_cast<int>(threadIdx.x); i < kRows / 4; i += Config::kThreads)
      copy_async<16>(order + i * 16, rows + i * 4, true);
    const unsigned* inputs = parameters_.inputs + item.first_input;
    for (int i = static_cast<int>(threadIdx.x); i < item.inputs(); i += Config::kThreads)
      copy_async<4>(order + (kRows + i) * 4, inputs + i, true);
  }
  __device__ __forceinline__ const int* order(int number) const {
    return reinterpret_cast<const int*>(lists(number));
  }
  __device__ __forceinline__ const unsigned* inputs(int number) const {
    return reinterpret_cast<const unsigned*>(lists(number)) + kRows;
  }

  /// Starts to load what is to be known of the item behind `after`: to be called before the products, where
  /// advance() comes after them.
  __device__ __forceinline__ void look_ahead() { ahead_ = take(); }
  __device__ __forceinline__ void advance() {
    current = next;
    next = after;
    after = ahead_;
  }

 private:
  __device__ __forceinline__ unsigned char* lists(int number) const {
    return lists_ + number % 2 * (kListBytes / 2);
  }
  __device__ __forceinline__ void locate() {
    if (block_ >= parameters_.blocks) return;
    phase_ = __ldg(parameters_.phase_begin + block_);
    phase_end_ = __ldg(parameters_.phase_begin + block_ + 1);
  }
  /// The item at the present place, which moves on.
  __device__ __forceinline__ Item take() {
    Item item{block_, 0, 0, 0};
    if (block_ >= parameters_.blocks) return item;
    item.offsets = __ldg(parameters_.phase_offsets + phase_);
    item.first_input = __ldg(parameters_.input_begin + phase_);
    item.end_input = __ldg(parameters_.input_begin + phase_ + 1);
    if (++phase_ >= phase_end_) {
      block_ += parameters_.parts;
      locate();
    }
    return item;
  }

  const ResidentGradWeightParameters& parameters_;
  unsigned char* lists_;
  Item ahead_;
  int block_;
  int phase_;
  int phase_end_;
};

}  // namespace flexgemm
