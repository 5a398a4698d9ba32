#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <flexgemm/device.hpp>
#include <flexgemm/dtype.hpp>
#include <flexgemm/epilogue.hpp>
#include <flexgemm/export.hpp>
#include <flexgemm/neighbor_map.hpp>
#include <flexgemm/tensor_view.hpp>

namespace flexgemm {

namespace detail {
class Backend;
struct PreparedEpilogue;
}  // namespace detail
class Plan;
struct PlanOptions;
struct TuneRequest;
struct TuneReport;

/// The three passes of a convolution.
enum class Op : std::uint8_t { forward, grad_input, grad_weight };

/// How a pass is computed (README, Algorithms). `automatic` lets the library choose.
enum class Algorithm : std::uint8_t {
  automatic,
  explicit_gemm,                ///< gather the neighbors to [N, V * Ci], then one dense GEMM
  implicit_gemm,                ///< gather inside the GEMM; every tile visits every offset
  implicit_gemm_splitk,         ///< the same, the reduction cut into parts that are added in a fixed order
  masked_implicit_gemm,         ///< a tile visits only the offsets that one of its rows has
  masked_implicit_gemm_splitk,  ///< the same with a split reduction
};

/// "forward", "grad_input", "grad_weight".
FLEXGEMM_API const char* name(Op op) noexcept;
/// "auto" or the enumerator's own name.
FLEXGEMM_API const char* name(Algorithm algorithm) noexcept;
/// Inverse of `name`. Throws Error{invalid_argument} for any other text.
FLEXGEMM_API Algorithm parse_algorithm(std::string_view text);

/// What a submanifold convolution layer is, before it meets data.
struct Conv3dOptions {
  std::int64_t in_channels = 0;   ///< Ci >= 1
  std::int64_t out_channels = 0;  ///< Co >= 1
  Extent3 kernel{3, 3, 3};        ///< taps along each axis, 1 to 7; must equal the map's
  DType dtype = DType::f32;       ///< f32, tf32 (float storage), f16 or bf16
  Algorithm algorithm = Algorithm::automatic;
  Epilogue epilogue{};  ///< what forward does to a finished sum; nothing by default
};

/// Gradients to compute; an absent view is skipped.
struct Gradients {
  TensorView input{};   ///< [N, Ci], storage type
  TensorView weight{};  ///< [Co, Kx, Ky, Kz, Ci], storage type or f32 (recommended: f16 overflows past 65504)
  TensorView bias{};    ///< [Co], storage type or f32
  /// Add to what `weight` and `bias` hold instead of overwriting them (gradient accumulation).
  bool accumulate = false;
  /// The call's weights as Conv3d::transpose_weight wrote them, [Ci, Kx, Ky, Kz, Co], aligned to 16 bytes:
  /// for callers that keep them while the weights stay the same. Absent: a call for the input gradient
  /// transposes them itself, into workspace, where its kernel needs that.
  ConstTensorView transposed_weight{};
};

/// What runs for one pass: for logs, tables and benchmarks.
struct KernelChoice {
  Algorithm algorithm = Algorithm::automatic;  ///< never `automatic` when returned by the library
  std::string kernel;                          ///< stable name of the kernel spec
  int splits = 1;                              ///< parts that the reduction is cut into
  int groups = 1;  ///< groups of kernel offsets, each with a row order of its own (persistent_gemm)
};

/// A submanifold convolution. Holds no weights and no per-call state: cheap to copy, and every call is safe
/// from any thread. Tensors are contiguous, on the context's device, with these shapes and the storage type
/// of `dtype`:
///   feats [N, Ci]   weight [Co, Kx, Ky, Kz, Ci]   bias [Co] (storage type or f32)   out, grad_out [N, Co]
///   out[n, co] = bias[co] + sum over v, ci of feats[map[n, v], ci] * weight[co, v, ci], accumulated in
///   float.
/// Outputs must not overlap inputs. The same inputs give the same bits on the same device, whatever the
/// timing.
class FLEXGEMM_API Conv3d {
 public:
  /// An empty handle; only assignment, destruction and `operator bool` are allowed on it.
  Conv3d() noexcept = default;
  explicit operator bool() const noexcept { return backend_ != nullptr; }

  const Conv3dOptions& options() const;

  /// Computes `out`. Pass an absent `bias` (`{}`) for none. Enqueues on `stream`; on the CPU it returns when
  /// done. Throws Error{invalid_argument} for wrong shapes, types, null pointers or a map of another kernel
  /// or device, Error{unsupported} when the pinned algorithm cannot serve the problem, Error{out_of_memory},
  /// Error{driver}.
  void forward(const NeighborMap& map, const ConstTensorView& feats, const ConstTensorView& weight,
               const ConstTensorView& bias, const TensorView& out, Stream stream = {}) const;

  /// The same with the operands of the convolution's epilogue: exactly those that it reads. One that is
  /// missing, or that the epilogue does not read, is an Error{invalid_argument}.
  void forward(const NeighborMap& map, const ConstTensorView& feats, const ConstTensorView& weight,
               const TensorView& out, const EpilogueOperands& operands, Stream stream = {}) const;

  /// Computes any subset of the gradients, of a convolution without an epilogue: with one it throws
  /// Error{unsupported}, because the epilogue is not differentiated. `feats` may be absent if the weight
  /// gradient is not asked for, `weight` if the input gradient is not. Errors and asynchrony as in `forward`.
  void backward(const NeighborMap& map, const ConstTensorView& grad_out, const ConstTensorView& feats,
                const ConstTensorView& weight, const Gradients& gradients, Stream stream = {}) const;

  /// Writes the weights as kernels of the input gradient read them: transposed[ci, v', co] = weight[co, v,
  /// ci], where v' = V - 1 - v if all extents of the kernel are odd (a map is then its own inverse, with its
  /// offsets the other way round), else v' = v. `transposed` [Ci, Kx, Ky, Kz, Co] is aligned to 16 bytes.
  /// Worth it for weights that serve several calls of `backward` (Gradients::transposed_weight): frozen
  /// layers, gradient accumulation. Errors and asynchrony as in `forward`.
  void transpose_weight(const ConstTensorView& weight, const TensorView& transposed,
                        Stream stream = {}) const;

  /// Decides everything about passes over this map now, so that nothing is left to decide, to build, to
  /// compile or to allocate when they run (<flexgemm/plan.hpp>). May compile, and waits for `stream`. Throws
  /// Error{invalid_argument} for contradictory options, and what the passes themselves would throw.
  Plan freeze(const NeighborMap& map, const PlanOptions& options, Stream stream = {}) const;
  /// Forward alone, without a bias, of tensors aligned to 16 bytes.
  Plan freeze(const NeighborMap& map) const;

  /// What `forward` or `backward` would run for this map.
  KernelChoice choice(const NeighborMap& map, Op op) const;

  /// Measures kernels for a pass over maps like this one and keeps the fastest that computes it correctly,
  /// for this context and in its tuning store (<flexgemm/tuning.hpp>). Uses random tensors of its own,
  /// allocated from the context's memory while it runs, and waits for `stream`. Throws Error{unsupported}
  /// where there is nothing to tune (the CPU backend), Error{invalid_argument}, Error{out_of_memory},
  /// Error{driver}; a candidate that fails is only disqualified.
  TuneReport tune(const NeighborMap& map, const TuneRequest& request, Stream stream = {}) const;

 private:
  friend class Context;
  Conv3d(std::shared_ptr<detail::Backend> backend, Conv3dOptions options);
  void check_map(const NeighborMap& map) const;
  std::shared_ptr<detail::Backend> backend_;
  Conv3dOptions options_;
  const detail::PreparedEpilogue* epilogue_ = nullptr;  // null: none
};

}  // namespace flexgemm
