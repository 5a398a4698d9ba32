#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>

#include "codegen/candidates.hpp"
#include "core/backend.hpp"
#include "cuda/cuda_map.hpp"
#include "cuda/kernel_cache.hpp"

namespace flexgemm::detail {

/// How one forward pass is computed: never `automatic`.
struct GemmChoice {
  Algorithm algorithm = Algorithm::masked_implicit_gemm;
  codegen::KernelSpec spec;  ///< the implicit_gemm kernel
  int splits = 1;            ///< parts of the reduction: more than 1 if spec.output is partial
};

/// Bytes that explicit_gemm's gathered operand may take: the gather and the GEMM run over chunks of rows.
inline constexpr std::int64_t explicit_workspace_bytes = 256ll << 20;

/// The problem that a forward pass poses to codegen under one algorithm: for explicit_gemm the dense GEMM of
/// a chunk of rows. `arguments` may have null pointers, which count as aligned to 16 bytes.
codegen::GemmProblem forward_problem(const CudaDevice& device, const ForwardArguments& arguments,
                                     const CudaMap& map, Algorithm algorithm);

/// The kernel that a forward pass runs when nothing has been tuned: a pure function of the layer, the map's
/// counts, the pointers' alignment and the device. The pinned algorithm is obeyed; `automatic` means
/// implicit_gemm for one offset, else masked_implicit_gemm, in its split form when its tiles would leave
/// multiprocessors idle. Throws Error{unsupported}.
GemmChoice choose_forward(const CudaDevice& device, const ForwardArguments& arguments, const CudaMap& map);

/// Remembers what choose_forward said, because going through the candidates costs more than a launch.
/// Bounded; thread-safe.
class ChoiceCache {
 public:
  GemmChoice forward(const CudaDevice& device, const ForwardArguments& arguments, const CudaMap& map);

 private:
  /// All that choose_forward depends on but the device: Ci, Co, rows, pairs, then V, type, algorithm, the
  /// three alignments and the kind of bias.
  using Key = std::array<std::int64_t, 11>;
  static Key key_of(const ForwardArguments& arguments, const CudaMap& map);

  std::mutex mutex_;
  std::map<Key, GemmChoice> choices_;
};

/// Enqueues a forward pass by the given choice: gathers, GEMM, reduction. What the tuner, tests and
/// benchmarks call to run a kernel of their own choosing. `choice.spec` must be made for forward_problem() of
/// these arguments. The device's context must be current. Workspace comes from the device's memory in stream
/// order.
void forward_with_choice(KernelCache& kernels, const ForwardArguments& arguments, const CudaMap& map,
                         const GemmChoice& choice, Stream stream);

}  // namespace flexgemm::detail
