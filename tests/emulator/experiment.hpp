#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "emulator/experiments.hpp"
#include "emulator/machine.hpp"
#include "emulator/tensor.hpp"

namespace flexgemm::emulator {

/// A launch that can be repeated, with what it should have computed.
struct Experiment {
  Launch launch;
  Tensor* output;
  std::vector<double> expected;
  /// Brings the output's elements to the order and number of `expected`; the identity if empty.
  std::function<std::vector<double>(const std::vector<double>&)> collect{};
  /// Prepares another run: zeros counters.
  std::function<void()> reset{};
  int resident_blocks = 1;
};

/// Type of what a spec's kernel writes.
codegen::ElementType output_type(const codegen::KernelSpec& spec);

/// Runs an experiment `rounds` times and judges its output.
Verdict judge(const codegen::KernelSpec& spec, const Workshop& workshop, const Experiment& experiment,
              int rounds, std::uint64_t seed);

// Experiments with one kind of kernel, in files of their own.
Verdict examine_resident_gemm(const codegen::KernelSpec& spec, const Workshop& workshop, int rounds,
                              std::uint64_t seed);
Verdict examine_resident_grad_weight(const codegen::KernelSpec& spec, const Workshop& workshop, int rounds,
                                     std::uint64_t seed);

}  // namespace flexgemm::emulator
