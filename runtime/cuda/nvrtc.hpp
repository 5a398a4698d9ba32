#pragma once

#include <string>
#include <vector>

#include "cache/kernel_store.hpp"
#include "codegen/kernel_spec.hpp"

namespace flexgemm::detail {

/// Why no kernel compiler can be used on this machine, as a clause; empty if there is one. Loads libnvrtc on
/// the first call. Thread-safe.
const std::string& nvrtc_problem();

/// "13.0"; empty if there is no compiler. Thread-safe.
const std::string& nvrtc_version();
/// Architectures that it compiles for, such as 90, ascending; none if there is no compiler. Thread-safe.
const std::vector<int>& nvrtc_architectures();

/// Compiles CUDA source with NVRTC. `name` is what the source is called in messages. Needs no GPU.
/// Throws Error{compile} with the name, the compiler's log and the source's location, also when there is no
/// compiler. Thread-safe.
CompiledKernel compile_source(const std::string& source, const std::string& name,
                              const codegen::Architecture& architecture);

/// A number from the ptxas report in a log: "registers", "bytes spill stores", "bytes spill loads", "bytes
/// stack frame" of the one kernel that was compiled. -1 if the log lacks it.
int reported(const std::string& log, const std::string& what);

}  // namespace flexgemm::detail
