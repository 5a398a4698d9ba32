#include <cstring>
#include <memory>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "cache/kernel_pack.hpp"
#include "core/backend_plan.hpp"
#include "core/fail.hpp"
#include "core/log.hpp"
#include "cpu/algorithm_plan.hpp"
#include "cpu/cpu_device.hpp"
#include "cpu/cpu_frames.hpp"
#include "cpu/cpu_map.hpp"
#include "cpu/explicit_gemm.hpp"
#include "cpu/gather_gemm.hpp"
#include "cpu/grad_bias.hpp"
#include "cpu/grad_weight.hpp"
#include "cpu/transpose_weights.hpp"

namespace flexgemm::detail {

namespace {

/// The shape of a pass; for grad_input with the channels as GatherProblem counts them.
ProblemShape shape_of(const Conv3dOptions& conv, const MapData& map, Op op) noexcept {
  const bool swapped = op == Op::grad_input;
  return {.rows = map.rows,
          .volume = map.volume(),
          .in_channels = swapped ? conv.out_channels : conv.in_channels,
          .out_channels = swapped ? conv.in_channels : conv.out_channels};
}

void run_gather(CpuDevice& device, const GatherProblem& problem, const GatherPlan& plan) {
  if (plan.algorithm == Algorithm::explicit_gemm) {
    run_explicit_gemm(device, problem, plan);
  } else {
    run_gather_gemm(device, problem, plan);
  }
}

/// A plan on the CPU: the choices are pure functions of the shapes, so the backend's own calls are already
/// it.
class CpuPlan final : public BackendPlan {
 public:
  CpuPlan(Backend& backend, const FreezeArguments& arguments)
      : backend_(backend), conv_(*arguments.conv), map_(arguments.map) {
    const CpuMap& map = cpu_map(*map_);
    if (arguments.options->input_gradient && !map.symmetric()) map.inverse();  // built once, here
  }
  std::size_t workspace_bytes() const noexcept override { return 0; }
  KernelChoice choice(Op op) const override { return backend_.choice(conv_, *map_, op); }
  void forward(const ForwardArguments& arguments, void*, Stream stream) const override {
    backend_.forward(arguments, stream);
  }
  void backward(const BackwardArguments& arguments, void*, Stream stream) const override {
    backend_.backward(arguments, stream);
  }

 private:
  Backend& backend_;  // kept alive by the plan that holds this
  Conv3dOptions conv_;
  std::shared_ptr<const MapData> map_;
};

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const ContextOptions& options)
      : cpu_(std::make_shared<CpuDevice>(options)), tuning_(options.tuning) {}

  Device device() const noexcept override { return Device::cpu(); }
  std::string description() const override {
    const int threads = cpu_->pool.threads();
    return fmt::format("cpu, {} thread{}, {}", threads, threads == 1 ? "" : "s", cpu_->kernels.name);
  }

  std::shared_ptr<const MapData> submanifold_map(const MapArguments& arguments, Stream) override {
    return CpuMap::build(cpu_, arguments);
  }

  TuneReport tune(const Conv3dOptions&, const MapData&, const TuneRequest&, Stream) override {
    fail(ErrorCode::unsupported, "the CPU backend has no kernels to choose from: tune on a CUDA device");
  }

  TuningOptions tuning() const override {
    const std::lock_guard lock(tuning_mutex_);
    return tuning_;
  }
  void set_tuning(const TuningOptions& options) override {
    const std::lock_guard lock(tuning_mutex_);
    tuning_ = options;
  }
  void load_kernel_pack(const std::filesystem::path& file) override { (void)require_pack(file); }

  KernelChoice choice(const Conv3dOptions& conv, const MapData& map, Op op) override {
    const ProblemShape shape = shape_of(conv, map, op);
    if (op == Op::grad_weight) {
      const WeightPlan plan = plan_weight(cpu_->kernels, shape, conv.algorithm);
      return {plan.algorithm, kernel_name(plan, conv.dtype)};
    }
    const GatherPlan plan = plan_gather(cpu_->kernels, shape, conv.algorithm);
    return {plan.algorithm, kernel_name(plan, conv.dtype)};
  }

  void forward(const ForwardArguments& arguments, Stream) override {
    const Conv3dOptions& conv = *arguments.conv;
    if (cpu_map(*arguments.map).rows == 0) return;
    const GatherPlan plan =
        plan_gather(cpu_->kernels, shape_of(conv, cpu_map(*arguments.map), Op::forward), conv.algorithm);
    log(2, "{}", kernel_name(plan, conv.dtype));
    run_gather(*cpu_,
               {.map = &cpu_map(*arguments.map),
                .inverse = false,
                .in_channels = conv.in_channels,
                .out_channels = conv.out_channels,
                .storage = storage_type(conv.dtype),
                .input = arguments.feats,
                .weight = arguments.weight,
                .bias = arguments.bias,
                .bias_dtype = arguments.bias_dtype,
                .output = arguments.out,
                .epilogue = arguments.epilogue},
               plan);
  }

  void backward(const BackwardArguments& arguments, Stream) override {
    if (arguments.grad_input != nullptr) grad_input(arguments);
    if (arguments.grad_weight != nullptr) grad_weight(arguments);
    if (arguments.grad_bias != nullptr) {
      run_grad_bias(*cpu_, arguments.grad_out, storage_type(arguments.conv->dtype), arguments.map->rows,
                    arguments.conv->out_channels, arguments.grad_bias, arguments.grad_bias_dtype,
                    arguments.accumulate);
    }
  }

  void transpose_weight(const Conv3dOptions& conv, const void* weight, void* transposed, Stream) override {
    run_transpose_weight(*cpu_, conv, weight, transposed);
  }

  std::shared_ptr<const FrameMapData> frame_map(const FrameMapArguments& arguments, Stream) override {
    return make_cpu_frame_map(cpu_, arguments);
  }
  std::shared_ptr<const VoxelizerData> voxelizer(const VoxelizerOptions& options, Stream) override {
    return make_cpu_voxelizer(options);
  }

  std::shared_ptr<const BackendPlan> freeze(const FreezeArguments& arguments, Stream) override {
    return std::make_shared<const CpuPlan>(*this, arguments);
  }

  void* allocate(std::size_t bytes, Stream stream) override { return cpu_->memory.allocate(bytes, stream); }
  void deallocate(void* pointer, std::size_t bytes, Stream stream) noexcept override {
    cpu_->memory.deallocate(pointer, bytes, stream);
  }
  void copy_to_device(void* target, const void* source, std::size_t bytes, Stream) override {
    std::memcpy(target, source, bytes);
  }
  void copy_to_host(void* target, const void* source, std::size_t bytes, Stream) override {
    std::memcpy(target, source, bytes);
  }
  void synchronize(Stream) override {}  // every call returns when its work is done
  MemoryStatistics memory() const override { return cpu_->memory.statistics(); }

 private:
  void grad_input(const BackwardArguments& arguments) {
    const Conv3dOptions& conv = *arguments.conv;
    if (arguments.map->rows == 0) return;
    const GatherPlan plan =
        plan_gather(cpu_->kernels, shape_of(conv, cpu_map(*arguments.map), Op::grad_input), conv.algorithm);
    log(2, "grad_input: {}", kernel_name(plan, conv.dtype));
    run_gather(*cpu_,
               {.map = &cpu_map(*arguments.map),
                .inverse = true,
                .in_channels = conv.out_channels,
                .out_channels = conv.in_channels,
                .storage = storage_type(conv.dtype),
                .input = arguments.grad_out,
                .weight = arguments.weight,
                .bias = nullptr,
                .bias_dtype = DType::f32,
                .output = arguments.grad_input},
               plan);
  }

  void grad_weight(const BackwardArguments& arguments) {
    const Conv3dOptions& conv = *arguments.conv;
    const WeightPlan plan =
        plan_weight(cpu_->kernels, shape_of(conv, cpu_map(*arguments.map), Op::grad_weight), conv.algorithm);
    log(2, "grad_weight: {}", kernel_name(plan, conv.dtype));
    const WeightProblem problem{.map = &cpu_map(*arguments.map),
                                .in_channels = conv.in_channels,
                                .out_channels = conv.out_channels,
                                .storage = storage_type(conv.dtype),
                                .feats = arguments.feats,
                                .grad_out = arguments.grad_out,
                                .grad_weight = arguments.grad_weight,
                                .grad_weight_dtype = arguments.grad_weight_dtype,
                                .accumulate = arguments.accumulate};
    if (plan.algorithm == Algorithm::explicit_gemm) {
      run_explicit_grad_weight(*cpu_, problem, plan);
    } else {
      run_grad_weight(*cpu_, problem, plan);
    }
  }

  std::shared_ptr<CpuDevice> cpu_;
  mutable std::mutex tuning_mutex_;
  TuningOptions tuning_;  // kept for who asks; there is nothing to tune
};

}  // namespace

std::shared_ptr<Backend> open_cpu_backend(const ContextOptions& options) {
  return std::make_shared<CpuBackend>(options);
}

}  // namespace flexgemm::detail
