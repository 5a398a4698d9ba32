#include "cuda/tuning_device.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>

#include "core/fail.hpp"
#include "cuda/driver.hpp"

namespace flexgemm::detail {

namespace {

constexpr std::int64_t sampled_rows = 192;
constexpr std::int64_t sampled_patches = 24;
constexpr int most_sets = 16;
/// A sample is at least so long, and of at least two calls.
constexpr double sample_ms = 0.4;
constexpr int most_calls = 64;

int l2_bytes(const CudaDevice& device) {
  int bytes = 0;
  FLEXGEMM_DRIVER(cuDeviceGetAttribute, &bytes, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, device.ordinal());
  return bytes;
}

}  // namespace

std::optional<CompiledKernel> TuningKernels::load(const std::string& hash,
                                                  const codegen::KernelSpec& spec) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = kernels_.find(hash); found != kernels_.end()) return found->second;
  }
  if (base_ == nullptr) return std::nullopt;
  return base_->load(hash, spec);
}

bool TuningKernels::save(const std::string& hash, const codegen::KernelSpec&,
                         const CompiledKernel& kernel) noexcept {
  const std::lock_guard lock(mutex_);
  kernels_.insert_or_assign(hash, kernel);
  return false;
}

void TuningKernels::refuse(const std::string& hash, const codegen::KernelSpec& spec,
                           const std::string& why) noexcept {
  const std::lock_guard lock(mutex_);
  if (kernels_.erase(hash) == 0 && base_ != nullptr) base_->refuse(hash, spec, why);
}

/// Events with times, of one device's context.
class TuningDevice::TimedEvents {
 public:
  explicit TimedEvents(std::size_t count) : events_(count, nullptr) {
    for (CUevent& event : events_) FLEXGEMM_DRIVER(cuEventCreate, &event, CU_EVENT_DEFAULT);
  }
  ~TimedEvents() {
    for (CUevent event : events_) {
      if (event != nullptr) driver().cuEventDestroy(event);
    }
  }
  TimedEvents(const TimedEvents&) = delete;
  TimedEvents& operator=(const TimedEvents&) = delete;

  void record(std::size_t at, Stream stream) const {
    FLEXGEMM_DRIVER(cuEventRecord, events_[at], stream.handle());
  }
  double milliseconds(std::size_t from, std::size_t to) const {
    FLEXGEMM_DRIVER(cuEventSynchronize, events_[to]);
    float milliseconds = 0;
    FLEXGEMM_DRIVER(cuEventElapsedTime, &milliseconds, events_[from], events_[to]);
    return milliseconds;
  }

 private:
  std::vector<CUevent> events_;
};

TuningDevice::TuningDevice(KernelCache& kernels, const GemmPass& pass, std::vector<GemmChoice> choices,
                           Stream stream)
    : kernels_(kernels), pass_(pass), choices_(std::move(choices)), stream_(stream) {
  make_sets();
  choose_samples();
}

TuningDevice::~TuningDevice() {
  // Tensors are freed in stream order, after whatever still runs.
}

std::int64_t TuningDevice::output_bytes() const {
  const Conv3dOptions& conv = *pass_.conv;
  const auto element = static_cast<std::int64_t>(size_of(pass_.output_dtype));
  switch (pass_.op) {
    case Op::forward:
      return pass_.map->rows * conv.out_channels * element;
    case Op::grad_input:
      return pass_.map->rows * conv.in_channels * element;
    case Op::grad_weight:
      break;
  }
  return conv.out_channels * pass_.map->volume() * conv.in_channels * element;
}

TuningDevice::TensorSet TuningDevice::make_set(int number) {
  const Conv3dOptions& conv = *pass_.conv;
  const std::int64_t rows = pass_.map->rows;
  DeviceMemory& memory = kernels_.device().memory();
  TensorSet set{.memory = {}, .pass = pass_};
  const auto tensor = [&](std::int64_t count, DType dtype, float scale) -> void* {
    const std::int64_t bytes = count * static_cast<std::int64_t>(size_of(dtype));
    set.memory.emplace_back(memory, bytes, stream_);
    void* data = set.memory.back().data();
    if (scale > 0) {
      const auto seed = static_cast<std::uint64_t>(number * 8) + set.memory.size();
      fill_random(data, dtype, count, seed, scale, stream_.handle());
    }
    return data;
  };
  const double reduction =
      static_cast<double>(pass_.map->pairs()) / static_cast<double>(rows) *
      static_cast<double>(pass_.op == Op::grad_input ? conv.out_channels : conv.in_channels);
  const auto weight_scale = static_cast<float>(1 / std::sqrt(std::max(1.0, reduction)));
  if (pass_.op != Op::grad_input) set.pass.feats = tensor(rows * conv.in_channels, conv.dtype, 1);
  if (pass_.op != Op::grad_weight) {
    set.pass.weight =
        tensor(conv.out_channels * pass_.map->volume() * conv.in_channels, conv.dtype, weight_scale);
  }
  if (pass_.op != Op::forward) {
    // Sums over all rows: f16 must hold them.
    const float scale =
        pass_.op == Op::grad_weight ? static_cast<float>(1 / std::sqrt(static_cast<double>(rows))) : 1.0F;
    set.pass.grad_out = tensor(rows * conv.out_channels, conv.dtype, scale);
  }
  if (pass_.bias != nullptr) set.pass.bias = tensor(conv.out_channels, pass_.bias_dtype, 1);
  set.pass.output =
      tensor(output_bytes() / static_cast<std::int64_t>(size_of(pass_.output_dtype)), pass_.output_dtype, 0);
  set.pass.accumulate = false;
  return set;
}

void TuningDevice::make_sets() {
  sets_.push_back(make_set(0));
  std::int64_t set_bytes = 0;
  for (const auto& tensor : sets_.front().memory) set_bytes += static_cast<std::int64_t>(tensor.bytes());
  const std::int64_t wanted =
      2 * std::int64_t{l2_bytes(kernels_.device())} / std::max<std::int64_t>(set_bytes, 1);
  const int count = static_cast<int>(std::clamp<std::int64_t>(wanted + 1, 2, most_sets));
  try {
    while (static_cast<int>(sets_.size()) < count) sets_.push_back(make_set(static_cast<int>(sets_.size())));
  } catch (const Error& error) {  // fewer sets: warmer times for all candidates alike
    if (error.code() != ErrorCode::out_of_memory) throw;
  }
}

void TuningDevice::choose_samples() {
  const Conv3dOptions& conv = *pass_.conv;
  const CudaMap& map = *pass_.map;
  const GemmPass& first = sets_.front().pass;
  reference_ = {.op = pass_.op,
                .dtype = conv.dtype,
                .rows = map.rows,
                .volume = map.volume(),
                .in_channels = conv.in_channels,
                .out_channels = conv.out_channels,
                .indices = map.indices(),
                .feats = first.feats,
                .weight = first.weight,
                .grad_out = first.grad_out,
                .bias = first.bias,
                .bias_dtype = pass_.bias_dtype};
  std::mt19937_64 random(20251125);  // any: the same places for every candidate
  const auto below = [&random](std::int64_t bound) {
    return static_cast<std::int32_t>(random() % static_cast<std::uint64_t>(std::max<std::int64_t>(bound, 1)));
  };
  std::vector<std::int32_t> places;
  if (pass_.op == Op::grad_weight) {
    samples_.count = sampled_patches;
    for (std::int64_t i = 0; i < samples_.count; ++i) places.push_back(below(map.volume()));
    for (std::int64_t i = 0; i < samples_.count; ++i) places.push_back(below(conv.out_channels - patch + 1));
    for (std::int64_t i = 0; i < samples_.count; ++i) places.push_back(below(conv.in_channels - patch + 1));
  } else {
    // A few of all rows, each once: the first and the last among them.
    samples_.count = std::min(sampled_rows, map.rows);
    for (std::int64_t i = 0; i < samples_.count; ++i) {
      const std::int64_t begin = i * map.rows / samples_.count;
      const std::int64_t end = (i + 1) * map.rows / samples_.count;
      places.push_back(static_cast<std::int32_t>(begin) + (i == 0 ? 0 : below(end - begin)));
    }
    places.back() = static_cast<std::int32_t>(map.rows - 1);
  }
  DeviceMemory& memory = kernels_.device().memory();
  sample_places_ = DeviceArray<std::int32_t>(memory, static_cast<std::int64_t>(places.size()), stream_);
  FLEXGEMM_DRIVER(cuMemcpyHtoDAsync, reinterpret_cast<CUdeviceptr>(sample_places_.data()), places.data(),
                  places.size() * sizeof(std::int32_t), stream_.handle());
  FLEXGEMM_DRIVER(cuStreamSynchronize, stream_.handle());
  samples_.row = sample_places_.data();
  samples_.first_out = samples_.row + samples_.count;
  samples_.first_in = samples_.first_out + samples_.count;
  expected_ = DeviceArray<double>(memory, samples_.count * sample_width(reference_), stream_);
  sums_ = DeviceArray<double>(memory, 3, stream_);
  map.wait_ready(stream_);
  DeviceArray<std::int32_t> slots;
  DeviceArray<std::int32_t> lookup;
  if (pass_.op != Op::grad_weight) {
    slots = DeviceArray<std::int32_t>(memory, samples_.count * map.volume(), stream_);
    if (pass_.op == Op::grad_input) lookup = DeviceArray<std::int32_t>(memory, map.rows, stream_);
    find_slots(reference_, samples_, slots.data(), lookup.data(), stream_.handle());
  }
  compute_reference(reference_, samples_, slots.data(), expected_.data(), stream_.handle());
  map.record_use(stream_);
}

template <class Work>
auto TuningDevice::guarded(const Work& work) {
  try {
    return work();
  } catch (const Error&) {
    // After a fault of a kernel every call fails, also this one.
    lost_ = driver().cuCtxSynchronize() != CUDA_SUCCESS;
    throw;
  }
}

void TuningDevice::run(const TensorSet& set, std::size_t candidate) {
  run_pass(kernels_, set.pass, choices_.at(candidate), stream_);
}

double TuningDevice::check(std::size_t candidate) {
  return guarded([&] {
    const TensorSet& set = sets_.front();
    poison(set.pass.output, output_bytes(), stream_.handle());
    run(set, candidate);
    compare_samples(reference_, samples_, expected_.data(), set.pass.output, pass_.output_dtype, sums_.data(),
                    stream_.handle());
    std::array<double, 3> sums{};
    kernels_.device().read_back(sums.data(), sums_.data(), sizeof(sums), stream_.handle());
    if (sums[2] != 0) return std::numeric_limits<double>::quiet_NaN();
    return std::sqrt(sums[0] / std::max(sums[1], 1e-300));
  });
}

double TuningDevice::tolerance() const {
  switch (pass_.conv->dtype) {
    case DType::f32:
      // Float sums of long reductions drift: 1e-6 holds for the sizes of the op test, 1e-5 for any.
      return 1e-5;
    case DType::bf16:
      return 8e-3;
    default:
      return 1e-3;
  }
}

std::vector<double> TuningDevice::time(std::size_t candidate, int samples) {
  return guarded([&] {
    const auto call = [&] {
      next_set_ = (next_set_ + 1) % sets_.size();
      run(sets_[next_set_], candidate);
    };
    const TimedEvents events(static_cast<std::size_t>(samples) + 2);
    call();
    events.record(0, stream_);
    call();
    events.record(1, stream_);
    const double once = std::max(events.milliseconds(0, 1), 1e-3);
    const int calls = static_cast<int>(std::clamp(std::ceil(sample_ms / once), 2.0, double{most_calls}));
    // Everything is enqueued before the first event is waited for, so that the host stays ahead; what runs
    // before the first sample gives it the lead.
    for (int i = 0; i < calls; ++i) call();
    for (int sample = 0; sample < samples; ++sample) {
      events.record(static_cast<std::size_t>(sample), stream_);
      for (int i = 0; i < calls; ++i) call();
    }
    events.record(static_cast<std::size_t>(samples), stream_);
    std::vector<double> times;
    for (int sample = 0; sample < samples; ++sample) {
      const auto at = static_cast<std::size_t>(sample);
      times.push_back(events.milliseconds(at, at + 1) / calls);
    }
    return times;
  });
}

}  // namespace flexgemm::detail
