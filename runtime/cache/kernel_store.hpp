#pragma once

#include <optional>
#include <string>
#include <vector>

#include "codegen/kernel_spec.hpp"

namespace flexgemm::detail {

/// What the kernel compiler made of a source.
struct CompiledKernel {
  /// A cubin; or, when the architecture is newer than the compiler knows, zero-terminated PTX, which the
  /// driver compiles when it loads it.
  std::vector<char> image;
  bool is_ptx = false;
  /// The compiler's messages with ptxas' report of registers, shared memory and spills.
  std::string log;
};

/// Where compiled kernels outlive the process, by codegen::source_hash. Implementations are thread-safe, hand
/// out only images that they have verified, and treat failure to save as no failure.
class KernelStore {
 public:
  virtual ~KernelStore() = default;
  /// The kernel, or nothing if it is not stored or what is stored cannot be believed.
  virtual std::optional<CompiledKernel> load(const std::string& hash,
                                             const codegen::KernelSpec& spec) noexcept = 0;
  /// True if the kernel will be there for the next process, even after a power failure.
  virtual bool save(const std::string& hash, const codegen::KernelSpec& spec,
                    const CompiledKernel& kernel) noexcept = 0;
  /// Tells that the driver refused an image that `load` returned, and why: it is not handed out again.
  virtual void refuse(const std::string& hash, const codegen::KernelSpec& spec,
                      const std::string& why) noexcept = 0;
};

}  // namespace flexgemm::detail
