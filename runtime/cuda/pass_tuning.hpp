#pragma once

#include <optional>
#include <vector>

#include <flexgemm/tuning.hpp>

#include "choice/priced_choices.hpp"
#include "cuda/gemm_pass.hpp"

namespace flexgemm::detail {

/// What tuning a pass found: the report, and its choices in the report's order.
struct PassTuning {
  TuneReport report;
  std::vector<GemmChoice> choices;
};

/// Measures the choices that serve a pass and leaves the kernels of the fastest in `kernels`. Of the pass's
/// tensors only whether there is a bias counts: tuning uses its own. Waits for the device. The device's
/// context must be current, and `stream` must not be capturing. Throws Error{unsupported} if no kernel serves
/// the pass, Error{out_of_memory} if its tensors do not fit, Error{driver} if the device is lost, and what
/// the request's functions throw.
PassTuning tune_pass(KernelCache& kernels, const GemmPass& pass, const TuneRequest& request, Stream stream);

/// Whether work on the stream is being captured into a graph: then nothing may be measured.
bool is_capturing(Stream stream);

}  // namespace flexgemm::detail
