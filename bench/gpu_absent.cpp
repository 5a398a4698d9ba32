#include <flexgemm/error.hpp>

#include "measuring_device.hpp"

namespace flexgemm::bench {

std::unique_ptr<MeasuringDevice> open_measuring_gpu(int) {
  throw Error(
      ErrorCode::no_device,
      "this flexgemm-bench was built without CUDA; use --device cpu, or build it with a CUDA toolkit");
}

}  // namespace flexgemm::bench
