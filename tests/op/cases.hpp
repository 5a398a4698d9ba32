#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <flexgemm/flexgemm.hpp>

#include "op/pairwise.hpp"

namespace flexgemm::op_test {

/// What a case checks.
enum class Subject { map, forward, grad_input, grad_weight, grad_bias };

const char* name(Subject subject);

/// One problem for one op of a backend.
struct Case {
  Subject subject = Subject::forward;
  Algorithm algorithm = Algorithm::automatic;
  DType dtype = DType::f32;
  std::int64_t in_channels = 1;
  std::int64_t out_channels = 1;
  Extent3 kernel{3, 3, 3};
  int dilation = 1;
  int batch = 1;
  std::int64_t rows = 0;
  bool bias = false;             ///< forward: add a bias
  int fused = 0;                 ///< forward: which of all_fused()
  bool accumulate = false;       ///< gradients: add to random content
  bool float_companion = false;  ///< the bias, or the weight or bias gradient, is f32 whatever `dtype` is
  bool together = false;         ///< ask for all three gradients in the same call
  bool unaligned = false;        ///< tensors begin one element past an aligned address
  bool huge_grid = false;        ///< map: a grid of more than 2^64 cells, voxels at its far corner
  bool checked = true;           ///< map: SubmanifoldOptions::checked

  std::int64_t volume() const noexcept { return std::int64_t{kernel.x} * kernel.y * kernel.z; }
};

/// All that tells a case from another, in one line; --filter matches it.
std::string to_string(const Case& problem);

/// How much of the grid a run takes.
enum class Sample {
  touch,     ///< the least of the small cases that meet every algorithm with every type and every single
             ///< factor once, for compute-sanitizer
  small,     ///< pairwise over small shapes, for builds with sanitizers
  pairwise,  ///< pairwise over the whole grid; algorithm x type is one factor
  full,      ///< pairwise over the whole grid for each algorithm x type by itself
};

/// The list of issue 3, in the order of their scenes.
std::vector<Case> make_cases(Sample sample, std::uint64_t seed);

/// The factors of a subject with their costs, for the test of the coverage.
Experiment experiment_of(Subject subject, Sample sample);

/// Multiply-accumulates of the case done densely: what bounds the time of any algorithm.
double dense_work(const Case& problem);

}  // namespace flexgemm::op_test
