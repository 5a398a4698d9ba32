#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <utility>

#include <cuda_runtime_api.h>

#include "gpu/check.hpp"
#include "gpu/cublas.hpp"
#include "gpu/fill_random.hpp"
#include "gpu/nvml.hpp"
#include "gpu/timer.hpp"
#include "measuring_device.hpp"
#include "statistics.hpp"

namespace flexgemm::bench {

namespace {

constexpr int matrix_extent = 8192;
constexpr std::size_t copy_bytes = std::size_t{1} << 30;

std::string version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

class MeasuringGpu final : public MeasuringDevice {
 public:
  /// Opens the library's context first: it says in one sentence what is wrong with the driver or the ordinal.
  explicit MeasuringGpu(int ordinal) : ordinal_(ordinal), context_(Context::open(Device::cuda(ordinal))) {
    description_["name"] = context_.description();
    FLEXGEMM_BENCH_CUDA(cudaSetDevice, ordinal);
    FLEXGEMM_BENCH_CUDA(cudaStreamCreateWithFlags, &stream_, cudaStreamNonBlocking);
    FLEXGEMM_BENCH_CUDA(cudaDeviceGetAttribute, &l2_bytes_, cudaDevAttrL2CacheSize, ordinal);
    std::array<char, 64> bus{};
    FLEXGEMM_BENCH_CUDA(cudaDeviceGetPCIBusId, bus.data(), static_cast<int>(bus.size()), ordinal);
    nvml_ = Nvml::open(bus.data());
    std::string problem;
    cublas_ = Cublas::open(stream_, problem);
    if (!problem.empty()) ceilings_.notes.push_back(problem);
    if (nvml_ == nullptr) ceilings_.notes.emplace_back("no clocks: libnvidia-ml.so.1 cannot be used here");
    describe();
  }
  MeasuringGpu(const MeasuringGpu&) = delete;
  MeasuringGpu& operator=(const MeasuringGpu&) = delete;
  ~MeasuringGpu() override {
    cublas_.reset();
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }

  Device device() const override { return Device::cuda(ordinal_); }
  Stream stream() const override { return stream_; }
  nlohmann::ordered_json description() override {
    nlohmann::ordered_json result = description_;
    if (nvml_ != nullptr) result["state"] = nvml_->state();
    return result;
  }

  void sample_ceilings() override {
    for (const DType dtype : {DType::f16, DType::bf16, DType::tf32, DType::f32}) sample_matrix(dtype);
    const auto from = allocate(copy_bytes);
    const auto to = allocate(copy_bytes);
    fill_random(from.get(), DType::f32, copy_bytes / sizeof(float), 3, 1);
    const auto copy = [&] {
      FLEXGEMM_BENCH_CUDA(cudaMemcpyAsync, to.get(), from.get(), copy_bytes, cudaMemcpyDeviceToDevice,
                          stream_);
    };
    for (const double ms : timer().back_to_back(copy, 20, 1))
      ceilings_.copy_gigabytes.push_back(2.0 * copy_bytes / ms / 1e6);
  }
  const Ceilings& ceilings() const override { return ceilings_; }
  double ceiling_of(const std::vector<double>& samples) const override {
    return samples.empty() ? 0 : summarize(samples).median;
  }

  std::shared_ptr<void> allocate(std::size_t bytes) override {
    void* block = nullptr;
    FLEXGEMM_BENCH_CUDA(cudaMalloc, &block, std::max<std::size_t>(bytes, 1));
    return {block, [](void* pointer) { cudaFree(pointer); }};  // waits for the device
  }
  void upload(void* target, const void* source, std::size_t bytes) override {
    FLEXGEMM_BENCH_CUDA(cudaMemcpyAsync, target, source, bytes, cudaMemcpyHostToDevice, stream_);
    FLEXGEMM_BENCH_CUDA(cudaStreamSynchronize, stream_);
  }
  void fill_random(void* target, DType dtype, std::int64_t count, std::uint64_t seed, float scale) override {
    FLEXGEMM_BENCH_CUDA(fill_random_on_gpu, target, dtype, count, seed, scale, stream_);
  }
  int rotating_sets(std::int64_t set_bytes) const override {
    const std::int64_t wanted =
        2 * static_cast<std::int64_t>(l2_bytes_) / std::max<std::int64_t>(set_bytes, 1) + 1;
    return static_cast<int>(std::clamp<std::int64_t>(wanted, 2, 256));
  }

  CallTimes measure_pass(const std::function<void(int)>& call, int sets, const Repeat& repeat) override {
    return timer().pass(call, sets, repeat,
                        [&] { return nvml_ == nullptr ? std::nullopt : nvml_->multiprocessor_clock_mhz(); });
  }
  std::vector<double> measure_calls(const std::function<void()>& prepare, const std::function<void()>& call,
                                    const Repeat& repeat) override {
    return timer().single_calls(prepare, call, repeat);
  }

 private:
  GpuTimer timer() const { return GpuTimer(stream_); }

  void describe() {
    int driver = 0;
    int runtime = 0;
    FLEXGEMM_BENCH_CUDA(cudaDriverGetVersion, &driver);
    FLEXGEMM_BENCH_CUDA(cudaRuntimeGetVersion, &runtime);
    const auto version = nvml_ == nullptr ? std::nullopt : nvml_->driver_version();
    description_["driver"] = version.value_or("unknown");
    description_["driver_cuda"] = version_text(driver);
    description_["runtime_cuda"] = version_text(runtime);
    description_["cublas"] = cublas_ == nullptr ? "absent" : cublas_->version();
    description_["l2_bytes"] = l2_bytes_;
  }

  void sample_matrix(DType dtype) {
    if (cublas_ == nullptr) return;
    const std::int64_t count = std::int64_t{matrix_extent} * matrix_extent;
    const std::size_t bytes = static_cast<std::size_t>(count) * size_of(dtype);
    const auto a = allocate(bytes);
    const auto b = allocate(bytes);
    const auto c = allocate(bytes);
    fill_random(a.get(), dtype, count, 1, 1);
    fill_random(b.get(), dtype, count, 2, 1.0F / std::sqrt(static_cast<float>(matrix_extent)));
    const auto multiply = [&] { cublas_->multiply(dtype, matrix_extent, a.get(), b.get(), c.get()); };
    const int samples = dtype == DType::f32 ? 10 : 20;
    for (const double ms : timer().back_to_back(multiply, samples, 1))
      ceilings_.matrix_tflops[name(dtype)].push_back(2.0 * matrix_extent * static_cast<double>(count) / ms /
                                                     1e9);
  }

  int ordinal_;
  Context context_;  // keeps the device open
  int l2_bytes_ = 0;
  cudaStream_t stream_ = nullptr;
  std::unique_ptr<Nvml> nvml_;
  std::unique_ptr<Cublas> cublas_;
  nlohmann::ordered_json description_;
  Ceilings ceilings_;
};

}  // namespace

std::unique_ptr<MeasuringDevice> open_measuring_gpu(int ordinal) {
  return std::make_unique<MeasuringGpu>(ordinal);
}

}  // namespace flexgemm::bench
