#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <flexgemm/flexgemm.hpp>

#include "op/cases.hpp"
#include "op/tensors.hpp"
#include "op/voxel_cloud.hpp"
#include "reference/reference.hpp"

namespace flexgemm::op_test {

/// The voxels of a case with the map of the backend and that of the reference.
struct Scene {
  VoxelCloud cloud;
  NeighborMap map;
  std::vector<std::int32_t> reference_indices;
  std::string map_fault;  ///< empty: both maps agree

  reference::MapView reference_map() const { return {reference_indices.data(), map.rows(), map.volume()}; }
};

Scene make_scene(const Context& context, const Case& problem, std::uint64_t seed);

/// A case with its tensors on the device, ready to run.
class Problem {
 public:
  Problem(const Context& context, const Scene& scene, const Case& problem, std::uint64_t seed);

  /// Runs the op into outputs that are poisoned first, or loaded with what is to be added to.
  void run();
  void reset_outputs();
  /// Runs the op without touching its outputs first: what `perf` times.
  void launch();
  /// What the backend says it would run.
  KernelChoice choice() const;

  const HostTensor& feats() const noexcept { return feats_; }
  const HostTensor& weight() const noexcept { return weight_; }
  const HostTensor& bias() const noexcept { return bias_; }
  /// The epilogue's operands; empty where it reads none.
  const HostTensor& residual() const noexcept { return residual_; }
  const HostTensor& scale() const noexcept { return scale_; }
  const HostTensor& shift() const noexcept { return shift_; }
  const HostTensor& grad_out() const noexcept { return grad_out_; }
  /// What the output held before the op, where the op adds to it.
  const HostTensor& initial() const noexcept { return initial_; }
  const DeviceTensor& output() const noexcept { return *output_; }

 private:
  Gradients gradients();
  void make_outputs(std::uint64_t seed);
  Context context_;
  const Scene& scene_;
  Case case_;
  Conv3d conv_;
  HostTensor feats_, weight_, bias_, residual_, scale_, shift_, grad_out_, initial_;
  std::optional<DeviceTensor> device_feats_, device_weight_, device_bias_, device_residual_, device_scale_,
      device_shift_, device_grad_out_;
  std::optional<DeviceTensor> output_;
  std::vector<DeviceTensor> other_outputs_;  ///< of a call that computes all gradients
};

enum class Status { passed, failed, unsupported };

struct Outcome {
  Status status = Status::passed;
  double error = 0;     ///< relative, against float64
  std::string message;  ///< why it failed, or what is not supported
};

/// Runs a case twice and judges it: same bits, nothing written outside, no poison left, error within the
/// bound.
Outcome run_case(const Context& context, const Scene& scene, const Case& problem, std::uint64_t seed);

}  // namespace flexgemm::op_test
