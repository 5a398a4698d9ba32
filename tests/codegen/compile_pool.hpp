#pragma once

#include <optional>
#include <string>
#include <vector>

#include "codegen/kernel_spec.hpp"
#include "ptxas_report.hpp"

namespace flexgemm::test {

struct CompileOutcome {
  std::optional<PtxasReport> report;  ///< nothing if the compile failed
  double seconds = 0;
  std::string log;  ///< of a failed compile
};

/// Compiles every spec with NVRTC in `jobs` worker processes (NVRTC compiles in one process are nearly
/// serial). The outcomes are in the order of the specs. Throws std::runtime_error if a worker dies.
std::vector<CompileOutcome> compile_all(const std::vector<codegen::KernelSpec>& specs, int jobs);

/// Empty if NVRTC can be used; else why not, in a sentence.
std::string nvrtc_absence();

}  // namespace flexgemm::test
