#pragma once

#include <optional>
#include <vector>

namespace flexgemm::bench {

/// What this machine can do at best, sampled again and again during a run, because other work on the machine
/// slows samples down: the best sample counts.
class CpuCeilings {
 public:
  CpuCeilings();

  /// Runs the BLAS's sgemm (2048^3, its own threads) and a copy of 256 MiB by one thread once each.
  void sample();

  /// None in a build without BLAS.
  std::optional<double> sgemm_gflops() const noexcept { return sgemm_gflops_; }
  /// Bytes read plus bytes written, 10^9 a second.
  double copy_gigabytes() const noexcept { return copy_gigabytes_; }

 private:
  std::vector<float> a_;
  std::vector<float> b_;
  std::vector<float> c_;
  std::optional<double> sgemm_gflops_;
  double copy_gigabytes_ = 0;
};

}  // namespace flexgemm::bench
