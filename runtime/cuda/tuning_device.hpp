#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cuda/device_array.hpp"
#include "cuda/gemm_pass.hpp"
#include "cuda/sampled_reference.hpp"
#include "tuner/tuner.hpp"

namespace flexgemm::detail {

/// Kernels of candidates while they are being tuned: in memory, before those of the store that outlives them.
/// Nothing is written through: only the winner is worth a place on disk. Thread-safe.
class TuningKernels final : public KernelStore {
 public:
  explicit TuningKernels(std::shared_ptr<KernelStore> base) : base_(std::move(base)) {}
  std::optional<CompiledKernel> load(const std::string& hash,
                                     const codegen::KernelSpec& spec) noexcept override;
  bool save(const std::string& hash, const codegen::KernelSpec& spec,
            const CompiledKernel& kernel) noexcept override;
  void refuse(const std::string& hash, const codegen::KernelSpec& spec,
              const std::string& why) noexcept override;

 private:
  std::shared_ptr<KernelStore> base_;
  std::mutex mutex_;
  std::map<std::string, CompiledKernel> kernels_;
};

/// Candidates of a pass, checked and timed on a GPU with random tensors of its own: so many sets of them that
/// a call never finds its operands in L2, as far as memory allows. The device's context must be current while
/// it lives, and `stream` must not be capturing.
class TuningDevice final : public TunerDevice {
 public:
  /// `pass` names op, layer, map and types; of its tensors only whether there is a bias counts.
  /// Throws Error{out_of_memory} if not even one set fits.
  TuningDevice(KernelCache& kernels, const GemmPass& pass, std::vector<GemmChoice> choices, Stream stream);
  ~TuningDevice() override;

  double check(std::size_t candidate) override;
  double tolerance() const override;
  std::vector<double> time(std::size_t candidate, int samples) override;
  bool lost() const noexcept override { return lost_; }

 private:
  struct TensorSet {
    std::vector<DeviceArray<std::byte>> memory;
    GemmPass pass;
  };
  class TimedEvents;

  std::int64_t output_bytes() const;
  TensorSet make_set(int number);
  void make_sets();
  void choose_samples();
  void run(const TensorSet& set, std::size_t candidate);
  template <class Work>
  auto guarded(const Work& work);

  KernelCache& kernels_;
  GemmPass pass_;
  std::vector<GemmChoice> choices_;
  Stream stream_;
  std::vector<TensorSet> sets_;
  ReferencePass reference_;
  DeviceArray<std::int32_t> sample_places_;
  Samples samples_;
  DeviceArray<double> expected_;
  DeviceArray<double> sums_;
  std::size_t next_set_ = 0;
  bool lost_ = false;
};

}  // namespace flexgemm::detail
