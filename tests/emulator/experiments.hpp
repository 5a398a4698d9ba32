#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codegen/kernel_spec.hpp"
#include "emulator/machine.hpp"

namespace flexgemm::emulator {

/// What became of a spec: empty message if the kernel did as it should.
struct Verdict {
  double error = 0;  ///< relative, against float64
  std::string fault;
};

/// Compiles `spec`, runs it `rounds` times on one random problem, each time under another
/// schedule, and judges it: right within DESIGN.md's bound, the same bits each time, nothing left unwritten.
Verdict examine(const codegen::KernelSpec& spec, const Workshop& workshop, int rounds, std::uint64_t seed);

}  // namespace flexgemm::emulator
