#include "cuda/frame_state.hpp"
#include "cuda/launch.hpp"

namespace flexgemm::detail {

namespace {

__global__ void start_frame_kernel(const std::int32_t* count, std::int64_t capacity, FrameState* state) {
  const std::int64_t wanted = max(*count, 0);
  state->rows = static_cast<std::int32_t>(min(wanted, capacity));
  if (wanted > capacity) state->overflow = 1;
  if (wanted > state->wanted) state->wanted = wanted;
}

}  // namespace

void start_frame(const std::int32_t* count, std::int64_t capacity, FrameState* state, CUstream_st* stream) {
  launch("beginning a frame", start_frame_kernel, 1, 1, 0, stream, count, capacity, state);
}

}  // namespace flexgemm::detail
