#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "codegen/kernel_spec.hpp"
#include "emulator/device/machine_interface.hpp"

/// Runs generated kernels on the CPU. The templates above the ptx layer are compiled by the host compiler;
/// each CUDA thread becomes a fiber, and the ptx layer a model of the instructions (PTX ISA: cp.async,
/// ldmatrix, mma, wgmma, mbarrier, cp.async.bulk.tensor). The model is hostile where the hardware may be:
/// copies land as late as they may, and what they overwrite is NaN meanwhile; warps are scheduled by random
/// priorities, so that any of them may fall far behind the others (probabilistic concurrency testing,
/// Burckhardt et al. 2010). It is no model of time.
namespace flexgemm::emulator {

/// What a kernel did wrong, or that it can go on no more, with the threads and addresses concerned.
class MachineError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Where kernels are made.
struct Workshop {
  std::filesystem::path templates;  ///< the product's, or a copy with a planted mistake
  std::filesystem::path folder;     ///< for temporary files
};

/// A kernel spec compiled for the host, loaded once for each block that may be resident at a time.
class Program {
 public:
  /// Compiles `spec` from the templates below `templates`, in `folder`. Throws std::runtime_error with the
  /// compiler's output.
  Program(const codegen::KernelSpec& spec, const Workshop& workshop, int resident_blocks);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  struct Instance {
    void* library = nullptr;
    void (*entry)(const void* parameters) = nullptr;
    unsigned char* shared = nullptr;  ///< shared_capacity bytes
  };
  const std::vector<Instance>& instances() const noexcept { return instances_; }
  static constexpr int shared_capacity = 232448;

 private:
  std::vector<Instance> instances_;
};

struct Launch {
  Index grid{1, 1, 1};
  int cluster = 1;  ///< blocks along x that run together and reach each other's shared memory
  int threads = 32;
  int shared_bytes = 0;
  const void* parameters = nullptr;
};

/// Runs all blocks of a launch, in an order and an interleaving that `seed` decides. Throws MachineError.
void run(const Program& program, const Launch& launch, std::uint64_t seed);

}  // namespace flexgemm::emulator
