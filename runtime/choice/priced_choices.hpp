#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "choice/pass_shape.hpp"
#include "codegen/cost_model.hpp"

namespace flexgemm::detail {

/// A way to compute a pass, and what the cost model says about it.
struct PricedChoice {
  GemmChoice choice;
  double predicted_ms = 0;
};

/// What the cost model knows about a map when nothing but its counts is known.
codegen::MapStatistics statistics_of(const PassShape& pass);

/// What the cost model says about one choice, in milliseconds.
double price_of(const TargetDevice& device, const PassShape& pass, const codegen::MapStatistics& map,
                const GemmChoice& choice);

/// Which choices are looked at.
enum class Breadth : std::uint8_t {
  likely,  ///< those that can be fastest: masked, and split where blocks are few
  all,     ///< all algorithms, and splits of any number of blocks
};

/// Every choice that serves the pass, obeying a pinned algorithm, the cheapest first; of equally cheap ones
/// codegen's first guess. Throws Error{unsupported} if none does.
std::vector<PricedChoice> priced_choices(const TargetDevice& device, const PassShape& pass,
                                         const codegen::MapStatistics& map, Breadth breadth);

/// The same pass with its counts rounded to steps of a twelfth: choices are made for it, so that the frames
/// of a stream, whose counts always differ a little, run the same kernels.
PassShape with_rounded_counts(PassShape pass);

/// The choice of this pass that has a tuned result's algorithm, splits and tile: the result's own kernel
/// where it serves the pass, else the one of the same tile with the vectors, channels and epilogue that the
/// pass needs. None if there is no such kernel or `kernel` is no spec.
std::optional<PricedChoice> choice_like(const std::vector<PricedChoice>& priced, Algorithm algorithm,
                                        std::string_view kernel, int splits);

}  // namespace flexgemm::detail
