#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>

#include "core/backend_plan.hpp"
#include "cuda/gemm_pass.hpp"
#include "cuda/pass_program.hpp"

namespace flexgemm::detail {

/// A plan on a GPU: the recorded programs of its passes.
class CudaPlan final : public BackendPlan {
 public:
  using Choose = std::function<GemmChoice(const GemmPass&)>;

  /// Records the passes: chooses their kernels, compiles and loads them, builds on `stream` what the map
  /// lacks, and waits for it. The device's context must be current. `kernels` must outlive the plan.
  CudaPlan(std::shared_ptr<const CudaDevice> device, KernelCache& kernels, const FreezeArguments& arguments,
           const Choose& choose, Stream stream);

  std::size_t workspace_bytes() const noexcept override { return workspace_bytes_; }
  KernelChoice choice(Op op) const override;
  void forward(const ForwardArguments& arguments, void* workspace, Stream stream) const override;
  void backward(const BackwardArguments& arguments, void* workspace, Stream stream) const override;

 private:
  /// A pass of the plan; none where it was not asked for.
  struct Recorded {
    GemmChoice choice;
    PassProgram program;
  };
  void record(Op op, const FreezeArguments& arguments, KernelCache& kernels, const Choose& choose,
              Stream stream);
  const std::optional<Recorded>& recorded(Op op) const { return passes_[static_cast<std::size_t>(op)]; }

  std::shared_ptr<const CudaDevice> device_;
  std::array<std::optional<Recorded>, 3> passes_;  // by Op
  std::size_t workspace_bytes_ = 0;
};

}  // namespace flexgemm::detail
