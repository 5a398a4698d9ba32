#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include <flexgemm/conv3d.hpp>
#include <flexgemm/device.hpp>
#include <flexgemm/dtype.hpp>
#include <flexgemm/export.hpp>
#include <flexgemm/tensor_view.hpp>

namespace flexgemm {

namespace detail {
struct PlanState;
}
class Plan;

/// Device memory that a plan's call may use until its work is done: aligned to 256 bytes, at least
/// Plan::workspace_bytes().
struct Workspace {
  void* data = nullptr;
  std::size_t bytes = 0;
};

/// What Conv3d::freeze fixes beside the convolution and the map.
struct PlanOptions {
  bool forward = true;          ///< the plan will run forward
  std::optional<DType> bias{};  ///< type of the bias that forward's calls bring; none: they bring none
  bool input_gradient = false;  ///< the plan's backward computes these, all of them in each call
  bool weight_gradient = false;
  bool bias_gradient = false;
  DType weight_gradient_type = DType::f32;  ///< f32 or the convolution's storage type
  DType bias_gradient_type = DType::f32;
  bool accumulate = false;  ///< as Gradients::accumulate
  /// Calls for the input gradient bring Gradients::transposed_weight, so the plan transposes nothing.
  bool transposed_weight = false;
  /// What the address of every tensor will be a multiple of, but bias, scale and shift, which need that of
  /// their elements: 1 to 256, a power of two. Less than 16 makes narrower loads, and slower kernels.
  int alignment = 16;
  /// Give the plan a workspace of its own, for calls that bring none. Such calls must follow each other on
  /// one stream or be ordered otherwise.
  bool own_workspace = true;
  /// Run the kernels that this plan runs, instead of choosing: equal kernels give equal bits. It must be of a
  /// convolution with the same options, on the same device.
  const Plan* like = nullptr;
};

/// A convolution on a map with everything decided: algorithms, kernels (compiled and loaded), the map's
/// orders and tile lists, the size of the workspace. Its calls allocate nothing, compile nothing, read no
/// file, wait for nothing on the device, take no lock and decide nothing: on a GPU they check their arguments
/// and launch. So they may be captured in a CUDA graph and made from any thread on any stream, several at
/// once, if each has a workspace of its own. (The CPU backend serves the same calls; they return when done,
/// and take scratch memory on the way.)
///
/// The plan keeps alive what it was made from: Conv3d, NeighborMap and Context may go. The plan itself, the
/// tensors and the workspace must stay until the work that uses them is done, and as long as graphs that
/// captured it are launched. A handle: cheap to copy, and all copies are the same plan.
class FLEXGEMM_API Plan {
 public:
  /// An empty handle; only assignment, destruction and `operator bool` are allowed on it.
  Plan() noexcept = default;
  explicit operator bool() const noexcept { return state_ != nullptr; }

  const Conv3dOptions& conv() const;
  const PlanOptions& options() const;  ///< `like` is null
  std::int64_t rows() const;           ///< of the map
  /// What a pass of the plan runs. Throws Error{invalid_argument} for one that it was not frozen for.
  KernelChoice choice(Op op) const;
  /// Of the largest pass; may be 0.
  std::size_t workspace_bytes() const;

  /// As Conv3d::forward. Pass `{}` as the workspace to use the plan's own. Throws Error{invalid_argument} for
  /// tensors that differ from what was frozen (shapes, types, alignment, operands), for a workspace that is
  /// too small or misaligned, and for a plan that was not frozen for it; Error{driver}.
  void forward(const ConstTensorView& feats, const ConstTensorView& weight, const ConstTensorView& bias,
               const TensorView& out, const Workspace& workspace = {}, Stream stream = {}) const;
  /// The same with the operands of the convolution's epilogue.
  void forward(const ConstTensorView& feats, const ConstTensorView& weight, const TensorView& out,
               const EpilogueOperands& operands, const Workspace& workspace = {}, Stream stream = {}) const;
  /// As Conv3d::backward, for exactly the gradients that the plan was frozen for. Errors as in `forward`.
  void backward(const ConstTensorView& grad_out, const ConstTensorView& feats, const ConstTensorView& weight,
                const Gradients& gradients, const Workspace& workspace = {}, Stream stream = {}) const;

 private:
  friend class Conv3d;
  explicit Plan(std::shared_ptr<const detail::PlanState> state) noexcept;
  std::shared_ptr<const detail::PlanState> state_;
};

}  // namespace flexgemm
