#pragma once

#include <cstddef>
#include <memory>

#include <flexgemm/plan.hpp>

#include "core/backend.hpp"

namespace flexgemm::detail {

/// The part of a plan that a backend makes. Immutable; calls come from any thread.
class BackendPlan {
 public:
  virtual ~BackendPlan() = default;
  virtual std::size_t workspace_bytes() const noexcept = 0;
  virtual KernelChoice choice(Op op) const = 0;
  /// Arguments as for Backend, checked by the core; `workspace` has workspace_bytes().
  virtual void forward(const ForwardArguments& arguments, void* workspace, Stream stream) const = 0;
  virtual void backward(const BackwardArguments& arguments, void* workspace, Stream stream) const = 0;
};

struct FreezeArguments {
  const Conv3dOptions* conv;
  std::shared_ptr<const MapData> map;
  const PreparedEpilogue* epilogue;
  const PlanOptions* options;
  const BackendPlan* like;  ///< of this backend and an equal convolution, or null
};

}  // namespace flexgemm::detail
