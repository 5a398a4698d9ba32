#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>

#include <unistd.h>

#include <flexgemm/error.hpp>

#include "measuring_device.hpp"
#include "random_value.hpp"

#if defined(FLEXGEMM_HAS_BLAS)
extern "C" void sgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n,
                       const int* k, const float* alpha, const float* a, const int* stride_a, const float* b,
                       const int* stride_b, const float* beta, float* c, const int* stride_c);
#endif

namespace flexgemm::bench {

namespace {

constexpr int extent = 2048;  // of the sgemm
constexpr std::size_t copy_floats = std::size_t{1} << 26;

using Clock = std::chrono::steady_clock;

double milliseconds_of(const std::function<void()>& call) {
  const auto start = Clock::now();
  call();
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

template <class Element>
void fill(void* target, std::int64_t count, std::uint64_t seed, float scale) {
  auto* elements = static_cast<Element*>(target);
  for (std::int64_t i = 0; i < count; ++i)
    elements[i] = stored<Element>(scale * random_value(seed, static_cast<std::uint64_t>(i)));
}

/// Wall-clock times. Other work on a shared machine slows samples down, so that the best sample of a ceiling
/// counts, and one is taken beside every row.
class MeasuringCpu final : public MeasuringDevice {
 public:
  explicit MeasuringCpu(int threads)
      : options_{.threads = threads, .allocator = nullptr},
        a_(copy_floats),
        b_(copy_floats),
        c_(std::size_t{extent} * extent) {
    fill<float>(a_.data(), static_cast<std::int64_t>(a_.size()), 1, 1);
    fill<float>(b_.data(), static_cast<std::int64_t>(b_.size()), 2, 1);
#if !defined(FLEXGEMM_HAS_BLAS)
    ceilings_.notes.emplace_back("no BLAS in this build: shares of sgemm are absent");
#endif
  }

  Device device() const override { return Device::cpu(); }
  ContextOptions context_options() const override { return options_; }
  nlohmann::ordered_json description() override {
    return {{"name", Context::open(device(), options_).description()}};
  }

  void sample_ceilings() override {
#if defined(FLEXGEMM_HAS_BLAS)
    const double ms = milliseconds_of([&] {
      const float one = 1.0F;
      const float zero = 0.0F;
      sgemm_("N", "N", &extent, &extent, &extent, &one, a_.data(), &extent, b_.data(), &extent, &zero,
             c_.data(), &extent);
    });
    const double tflops = 2.0 * extent * extent * extent / ms / 1e9;
    for (const DType dtype : {DType::f32, DType::tf32, DType::f16, DType::bf16})
      ceilings_.matrix_tflops[name(dtype)].push_back(tflops);
#endif
    const double copy_ms =
        milliseconds_of([&] { std::memcpy(b_.data(), a_.data(), copy_floats * sizeof(float)); });
    ceilings_.copy_gigabytes.push_back(2.0 * copy_floats * sizeof(float) / copy_ms / 1e6);
  }
  void prepare_row() override { sample_ceilings(); }
  const Ceilings& ceilings() const override { return ceilings_; }
  double ceiling_of(const std::vector<double>& samples) const override {
    return samples.empty() ? 0 : *std::max_element(samples.begin(), samples.end());
  }

  std::shared_ptr<void> allocate(std::size_t bytes) override {
    constexpr std::size_t alignment = 256;
    void* block = std::aligned_alloc(
        alignment, (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment);
    if (block == nullptr) {
      throw Error(ErrorCode::out_of_memory,
                  "no " + std::to_string(bytes) + " bytes of host memory for a tensor; use fewer channels");
    }
    return {block, std::free};
  }
  void upload(void* target, const void* source, std::size_t bytes) override {
    std::memcpy(target, source, bytes);
  }
  void fill_random(void* target, DType dtype, std::int64_t count, std::uint64_t seed, float scale) override {
    if (storage_type(dtype) == DType::f32) return fill<float>(target, count, seed, scale);
    if (dtype == DType::f16) return fill<f16>(target, count, seed, scale);
    fill<bf16>(target, count, seed, scale);
  }
  int rotating_sets(std::int64_t set_bytes) const override {
    constexpr std::int64_t usual_cache = 32ll << 20;
    constexpr std::int64_t most_cache = 128ll << 20;
    const std::int64_t found = sysconf(_SC_LEVEL3_CACHE_SIZE);
    const std::int64_t cache = found > 0 ? std::min(found, most_cache) : usual_cache;
    return static_cast<int>(
        std::clamp<std::int64_t>(2 * cache / std::max<std::int64_t>(set_bytes, 1) + 1, 1, 16));
  }

  CallTimes measure_pass(const std::function<void(int)>& call, int sets, const Repeat& repeat) override {
    int set = 0;
    CallTimes times;
    times.call_ms = measure_calls([&] { set = (set + 1) % sets; }, [&] { call(set); }, repeat);
    return times;
  }
  std::vector<double> measure_calls(const std::function<void()>& prepare, const std::function<void()>& call,
                                    const Repeat& repeat) override {
    std::vector<double> times;
    double total_ms = 0;
    prepare();
    call();
    while (static_cast<int>(times.size()) < repeat.least ||
           (static_cast<int>(times.size()) < repeat.most && total_ms < repeat.seconds * 1e3)) {
      prepare();
      times.push_back(milliseconds_of(call));
      total_ms += times.back();
    }
    return times;
  }

 private:
  ContextOptions options_;
  std::vector<float> a_;
  std::vector<float> b_;
  std::vector<float> c_;
  Ceilings ceilings_;
};

}  // namespace

std::unique_ptr<MeasuringDevice> open_measuring_cpu(int threads) {
  return std::make_unique<MeasuringCpu>(threads);
}

}  // namespace flexgemm::bench
