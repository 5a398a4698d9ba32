#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <flexgemm/flexgemm.hpp>

namespace flexgemm::run {

/// Most bytes of memory that this process has held so far.
std::size_t process_peak_bytes() noexcept;

/// Bytes of memory that the process may use: the machine's, or less where its control group sets a limit.
double machine_bytes();

/// What decides how much memory a run needs.
struct Footprint {
  std::int64_t voxels = 0;
  std::int64_t volume = 27;            ///< kernel offsets
  std::vector<std::int64_t> channels;  ///< of the features, then of each layer
  DType dtype = DType::f32;
  bool on_host = true;  ///< the device's memory is the host's
  bool verify = false;
};

/// Bytes of host memory that a run needs at least, at its largest layer.
double estimated_bytes(const Footprint& footprint);

/// Throws Error{invalid_argument} if estimated_bytes exceeds `available`. Asked before memory is taken, so
/// that a request far beyond the machine fails with a sentence and not by the system's out-of-memory killer.
void require_memory(const Footprint& footprint, double available);

}  // namespace flexgemm::run
