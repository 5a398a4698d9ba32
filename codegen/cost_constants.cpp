#include "cost_model.hpp"

// The constants of sm_90 were fitted to 3,000 kernel times of the forward pass on an NVIDIA H100
// (docs/tuning.md; a sample of them is tests/tuner/recorded_times.txt). Those of the other architectures are
// the same shape scaled by published rates (matrix unit, FFMA, memory, clock): enough to rank candidates, not
// to predict times.

namespace flexgemm::codegen {

namespace {

constexpr CostConstants hopper{.matrix_flops_per_ns = 6880,
                               .mma_sync_share = 0.373,
                               .ffma_flops_per_ns = 400,
                               .l2_bytes_per_ns = 82,
                               .copy_issue_ns = 2.64,
                               .fragment_issue_ns = 2.52,
                               .k_tile_ns = 365,
                               .warp_hiding = 0.406,
                               .block_ns = 2690,
                               .result_ns = 142,
                               .tail_blocks = 0.22,
                               .overlap = 8,
                               .memory_bytes_per_ns = 2580,
                               .cached_bytes_per_ns = 7600,
                               .cache_bytes = 40e6,
                               .launch_ns = 3370};

/// What an architecture does at best, next to Hopper.
struct PublishedRates {
  double matrix_flops_per_ns;  ///< of a multiprocessor, f16 products, float sums, by mma.sync
  double ffma_flops_per_ns;    ///< of a multiprocessor
  double memory_bytes_per_ns;
  double cache_bytes;
  double clock_ghz;
};

constexpr CostConstants scaled(const PublishedRates& rates) {
  constexpr double hopper_ghz = 1.75;
  CostConstants constants = hopper;
  const double slower = hopper_ghz / rates.clock_ghz;
  constants.matrix_flops_per_ns = 0.85 * rates.matrix_flops_per_ns;
  constants.mma_sync_share = 1;
  constants.ffma_flops_per_ns = 0.85 * rates.ffma_flops_per_ns;
  constants.l2_bytes_per_ns = 0.6 * hopper.l2_bytes_per_ns / slower;
  constants.copy_issue_ns *= slower;
  constants.fragment_issue_ns *= slower;
  constants.k_tile_ns *= slower;
  constants.block_ns *= slower;
  constants.result_ns *= slower;
  constants.memory_bytes_per_ns = 0.8 * rates.memory_bytes_per_ns;
  constants.cached_bytes_per_ns = 2 * constants.memory_bytes_per_ns;
  constants.cache_bytes = 0.8 * rates.cache_bytes;
  return constants;
}

constexpr CostConstants turing = scaled({790, 200, 600, 5.5e6, 1.6});
constexpr CostConstants ampere = scaled({2890, 180, 1550, 40e6, 1.41});
constexpr CostConstants ampere_consumer = scaled({870, 430, 930, 6e6, 1.7});
constexpr CostConstants ada = scaled({1290, 640, 1000, 72e6, 2.5});
constexpr CostConstants blackwell = scaled({4000, 480, 7500, 120e6, 1.85});
constexpr CostConstants blackwell_consumer = scaled({1230, 610, 1790, 96e6, 2.4});

}  // namespace

const CostConstants& cost_constants(const Architecture& architecture) {
  const int number = architecture.number();
  if (number < 80) return turing;
  if (number == 80 || number == 87) return ampere;
  if (number < 89) return ampere_consumer;
  if (number < 90) return ada;
  if (number < 100) return hopper;
  return number < 120 ? blackwell : blackwell_consumer;
}

}  // namespace flexgemm::codegen
