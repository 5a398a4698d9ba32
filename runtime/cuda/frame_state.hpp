#pragma once

#include <cstdint>

#include <flexgemm/device.hpp>

namespace flexgemm::detail {

/// What a FrameMap keeps on the device.
struct FrameState {
  std::int32_t rows;      ///< of the last frame, 0 to the capacity: what every kernel of a frame reads
  std::int32_t overflow;  ///< 1: a count exceeded the capacity
  std::int64_t wanted;    ///< the largest count
};

/// Begins a frame: takes the count, cuts it to the capacity, and notes what it lost. One thread.
void start_frame(const std::int32_t* count, std::int64_t capacity, FrameState* state, CUstream_st* stream);

}  // namespace flexgemm::detail
