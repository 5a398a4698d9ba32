#pragma once

#include <vector>

#include <flexgemm/conv3d.hpp>

#include "choice/priced_choices.hpp"

namespace flexgemm::detail {

/// Choices that somebody named, such as a report or the log did, with what the cost model says about them:
/// also such as are not among the candidates. Throws Error{invalid_argument} with the reason if one is no
/// valid kernel or does not serve the pass: its operands, types, channels, volume, architecture, bias and
/// epilogue must be the pass's own, its vectors must suit the pointers, and the pinned algorithm is obeyed.
std::vector<PricedChoice> given_choices(const TargetDevice& device, const PassShape& pass,
                                        const std::vector<KernelChoice>& given);

}  // namespace flexgemm::detail
