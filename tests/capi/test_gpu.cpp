// The C interface on a GPU: the bits of the C++ API, by eager calls and plans, with an engine's own
// CUcontext, stream and memory.
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include <dlfcn.h>

#include <flexgemm/flexgemm.hpp>

#include "capi/support.hpp"
#include "op/tensors.hpp"
#include "scene/temporary_folder.hpp"

using namespace flexgemm;
using namespace flexgemm::capi_test;
using op_test::DeviceTensor;
using op_test::HostTensor;

namespace {

/// What an engine does with the driver, without its headers.
struct Driver {
  Driver() {
    void* library = dlopen("libcuda.so.1", RTLD_NOW);
    if (library == nullptr || cuda_device_count() == 0) SKIP("no GPU");
    const auto find = [library](auto& function, const char* name) {
      function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name));
      REQUIRE(function != nullptr);
    };
    find(create_context, "cuCtxCreate_v2");
    find(destroy_context, "cuCtxDestroy_v2");
    find(push, "cuCtxPushCurrent_v2");
    find(pop, "cuCtxPopCurrent_v2");
    find(create_stream, "cuStreamCreate");
    find(allocate, "cuMemAlloc_v2");
    find(free, "cuMemFree_v2");
  }
  int (*create_context)(void**, unsigned, int) = nullptr;
  int (*destroy_context)(void*) = nullptr;
  int (*push)(void*) = nullptr;
  int (*pop)(void**) = nullptr;
  int (*create_stream)(void**, unsigned) = nullptr;
  int (*allocate)(unsigned long long*, std::size_t) = nullptr;
  int (*free)(unsigned long long) = nullptr;
};

/// An engine's device memory, counted. The library makes its CUcontext current around the calls.
struct EngineMemory {
  const Driver* driver;
  std::int64_t taken = 0, blocks = 0;
  static void* allocate(void* user_data, size_t bytes, void*) {
    auto& self = *static_cast<EngineMemory*>(user_data);
    unsigned long long address = 0;
    if (self.driver->allocate(&address, bytes) != 0) return nullptr;
    ++self.taken;
    ++self.blocks;
    return reinterpret_cast<void*>(address);
  }
  static void deallocate(void* user_data, void* pointer, size_t, void*) {
    auto& self = *static_cast<EngineMemory*>(user_data);
    self.driver->free(reinterpret_cast<unsigned long long>(pointer));  // waits for the device
    --self.blocks;
  }
};

/// A tensor in a context's memory.
class Uploaded {
 public:
  Uploaded(const flexgemm_context* context, const void* source, std::size_t bytes, void* stream) {
    flexgemm_buffer* made = nullptr;
    require_ok(flexgemm_buffer_create(context, bytes, stream, &made));
    buffer_.reset(made);
    require_ok(flexgemm_buffer_get_data(made, &data_));
    require_ok(flexgemm_copy_to_device(context, data_, source, bytes, stream));
  }
  Uploaded(const flexgemm_context* context, const HostTensor& tensor, void* stream)
      : Uploaded(context, tensor.bytes().data(), tensor.bytes().size(), stream) {}
  void* data() const { return data_; }

 private:
  Owned<flexgemm_buffer> buffer_;
  void* data_ = nullptr;
};

constexpr std::int64_t rows = 5000;

/// A layer's tensors with the view that the C interface takes of an upload.
struct Problem {
  explicit Problem(DType dtype) : layer(rows, dtype, 32, 48) {}
  Layer layer;

  static flexgemm_tensor on_device(const HostTensor& tensor, const Uploaded& memory) {
    flexgemm_tensor view = view_of(tensor);
    view.data = memory.data();
    return view;
  }

  /// Output and gradients by the C interface; by a plan too, which must agree.
  std::vector<std::byte> by_c(const flexgemm_context* context, void* stream) {
    const Uploaded coords(context, layer.cloud.coords.data(), layer.cloud.coords.size() * 4, stream);
    flexgemm_tensor coords_view = layer.coords_view;
    coords_view.data = coords.data();
    flexgemm_map* made_map = nullptr;
    require_ok(
        flexgemm_submanifold_map_create(context, &coords_view, &layer.grid, nullptr, stream, &made_map));
    const Owned<flexgemm_map> map(made_map);
    const Owned<flexgemm_conv3d> conv = layer.conv(context);
    const Uploaded in(context, layer.feats, stream), w(context, layer.weight, stream),
        b(context, layer.bias, stream), gy(context, layer.grad_out, stream), out(context, layer.out, stream),
        gx(context, layer.grad_input, stream), gw(context, layer.grad_weight, stream),
        gb(context, layer.grad_bias, stream);
    const flexgemm_tensor in_view = on_device(layer.feats, in), w_view = on_device(layer.weight, w),
                          b_view = on_device(layer.bias, b), gy_view = on_device(layer.grad_out, gy),
                          out_view = on_device(layer.out, out), gx_view = on_device(layer.grad_input, gx),
                          gw_view = on_device(layer.grad_weight, gw),
                          gb_view = on_device(layer.grad_bias, gb);
    auto operands = zeroed<flexgemm_operands>();
    operands.bias = &b_view;
    auto gradients = zeroed<flexgemm_gradients>();
    gradients.input = &gx_view;
    gradients.weight = &gw_view;
    gradients.bias = &gb_view;
    const auto download = [&] {
      const std::pair<HostTensor*, const Uploaded*> outputs[] = {
          {&layer.out, &out}, {&layer.grad_input, &gx}, {&layer.grad_weight, &gw}, {&layer.grad_bias, &gb}};
      for (const auto& [host, device] : outputs) {
        require_ok(flexgemm_copy_to_host(context, host->bytes().data(), device->data(), host->bytes().size(),
                                         stream));
      }
      return layer.results();
    };
    require_ok(flexgemm_conv3d_forward_fused(conv.get(), map.get(), &in_view, &w_view, &out_view, &operands,
                                             stream));
    require_ok(
        flexgemm_conv3d_backward(conv.get(), map.get(), &gy_view, &in_view, &w_view, &gradients, stream));
    const std::vector<std::byte> eager = download();

    auto options = zeroed<flexgemm_plan_options>();
    options.has_bias = 1;
    options.bias_dtype = layer.options.dtype;
    options.input_gradient = options.weight_gradient = options.bias_gradient = 1;
    flexgemm_plan* made_plan = nullptr;
    require_ok(flexgemm_plan_create(conv.get(), map.get(), &options, stream, &made_plan));
    const Owned<flexgemm_plan> plan(made_plan);
    const std::vector<std::byte> poison(layer.out.bytes().size(), std::byte{0xff});
    require_ok(flexgemm_copy_to_device(context, out.data(), poison.data(), poison.size(), stream));
    require_ok(
        flexgemm_plan_forward(plan.get(), &in_view, &w_view, &out_view, &operands, nullptr, 0, stream));
    require_ok(
        flexgemm_plan_backward(plan.get(), &gy_view, &in_view, &w_view, &gradients, nullptr, 0, stream));
    CHECK(download() == eager);

    const Uploaded wt(context, layer.weight, stream);
    flexgemm_tensor wt_view = w_view;
    wt_view.data = wt.data();
    std::swap(wt_view.shape[0], wt_view.shape[4]);
    require_ok(flexgemm_conv3d_transpose_weight(conv.get(), &w_view, &wt_view, stream));
    gradients.transposed_weight = &wt_view;
    require_ok(
        flexgemm_conv3d_backward(conv.get(), map.get(), &gy_view, &in_view, &w_view, &gradients, stream));
    CHECK(download() == eager);
    return eager;
  }

  /// The same by the C++ API, in the primary context.
  std::vector<std::byte> by_cpp() {
    const Context context = Context::open(Device::cuda(0), {.cache = {.enabled = false, .folder = {}}});
    Buffer coords = context.allocate(layer.cloud.coords.size() * 4);
    context.copy_to_device(coords.data(), layer.cloud.coords.data(), coords.bytes());
    const NeighborMap map = context.submanifold_map({coords.data(), DType::i32, {rows, 4}}, layer.cloud.grid);
    const auto upload = [&context](const HostTensor& tensor) {
      DeviceTensor device(context, tensor.dtype(), tensor.shape(), false);
      device.upload(tensor);
      return device;
    };
    DeviceTensor in = upload(layer.feats), w = upload(layer.weight), b = upload(layer.bias),
                 gy = upload(layer.grad_out), out = upload(layer.out), gx = upload(layer.grad_input),
                 gw = upload(layer.grad_weight), gb = upload(layer.grad_bias);
    const Conv3d conv = context.conv3d({.in_channels = 32, .out_channels = 48, .dtype = layer.dtype});
    conv.forward(map, in.view(), w.view(), b.view(), out.view());
    conv.backward(map, gy.view(), in.view(), w.view(),
                  {.input = gx.view(), .weight = gw.view(), .bias = gb.view()});
    layer.out = out.download();
    layer.grad_input = gx.download();
    layer.grad_weight = gw.download();
    layer.grad_bias = gb.download();
    return layer.results();
  }
};

}  // namespace

TEST_CASE("on a GPU the C interface gives the bits of the C++ API, in an engine's own CUDA context too") {
  const Driver driver;
  for (const DType dtype : {DType::f32, DType::f16}) {
    CAPTURE(name(dtype));
    Problem problem(dtype);
    const std::vector<std::byte> expected = problem.by_cpp();
    auto options = zeroed<flexgemm_context_options>();
    options.disable_cache = 1;
    flexgemm_context* made = nullptr;
    require_ok(flexgemm_context_open(FLEXGEMM_DEVICE_CUDA, 0, &options, &made));
    Owned<flexgemm_context> context(made);
    CHECK(problem.by_c(context.get(), nullptr) == expected);
    context.reset();

    EngineMemory memory{&driver};
    auto allocator = zeroed<flexgemm_allocator>();
    allocator.allocate = EngineMemory::allocate;
    allocator.deallocate = EngineMemory::deallocate;
    allocator.user_data = &memory;
    options.allocator = &allocator;
    REQUIRE(driver.create_context(&options.cuda_context, 0, 0) == 0);
    void* stream = nullptr;
    REQUIRE(driver.create_stream(&stream, 1) == 0);  // non-blocking: not ordered with the default stream
    void* popped = nullptr;
    REQUIRE(driver.pop(&popped) == 0);
    require_ok(flexgemm_context_open(FLEXGEMM_DEVICE_CUDA, 0, &options, &made));
    context.reset(made);
    CHECK(problem.by_c(context.get(), stream) == expected);
    auto statistics = zeroed<flexgemm_memory_statistics>();
    require_ok(flexgemm_context_get_memory(context.get(), &statistics));
    CHECK(statistics.current_bytes == 0);
    context.reset();
    CHECK(memory.taken > 10);
    CHECK(memory.blocks == 0);
    CHECK(driver.destroy_context(options.cuda_context) == 0);
  }
}

namespace {

/// A context whose cache lies in `folder`, or that has none if it is empty.
Owned<flexgemm_context> open_gpu(const std::string& folder) {
  auto options = zeroed<flexgemm_context_options>();
  options.cache_folder = folder.c_str();
  options.disable_cache = folder.empty() ? 1 : 0;
  flexgemm_context* made = nullptr;
  require_ok(flexgemm_context_open(FLEXGEMM_DEVICE_CUDA, 0, &options, &made));
  return Owned<flexgemm_context>(made);
}

/// A layer's map and convolution in a context.
struct OnGpu {
  OnGpu(const flexgemm_context* context, const Layer& layer) : conv(layer.conv(context)) {
    const Uploaded coords(context, layer.cloud.coords.data(), layer.cloud.coords.size() * 4, nullptr);
    flexgemm_tensor view = layer.coords_view;
    view.data = coords.data();
    flexgemm_map* made = nullptr;
    require_ok(flexgemm_submanifold_map_create(context, &view, &layer.grid, nullptr, nullptr, &made));
    map.reset(made);
  }
  std::string choice() const {
    char kernel[512];
    require_ok(flexgemm_conv3d_get_choice(conv.get(), map.get(), FLEXGEMM_FORWARD, nullptr, kernel,
                                          sizeof kernel, nullptr));
    return kernel;
  }
  Owned<flexgemm_conv3d> conv;
  Owned<flexgemm_map> map;
};

struct Told {
  int calls = 0, measured = 0;
  bool had_leader = false;
};

void note_progress(void* user_data, const flexgemm_tune_progress* progress) {
  auto& told = *static_cast<Told*>(user_data);
  ++told.calls;
  told.measured = progress->measured;
  told.had_leader = told.had_leader || (progress->leader != nullptr && progress->leader->measured_ms > 0);
}

}  // namespace

TEST_CASE("a layer is tuned through the C interface, and its result reaches other contexts and a pack") {
  if (cuda_device_count() == 0) SKIP("no GPU");
  const TemporaryFolder folder;
  const std::string cache = (folder.path() / "cache").string();
  const std::string pack = (folder.path() / "tuned.pack").string();
  const Layer layer(rows, DType::f16, 32, 48);
  const Owned<flexgemm_context> context = open_gpu(cache);
  const OnGpu problem(context.get(), layer);
  Told told;
  auto request = zeroed<flexgemm_tune_request>();
  request.progress = note_progress;
  request.user_data = &told;
  request.budget_ms = 60'000;
  flexgemm_tune_report* report = nullptr;
  require_ok(flexgemm_conv3d_tune(problem.conv.get(), problem.map.get(), &request, nullptr, &report));
  const Owned<flexgemm_tune_report> owner(report);
  auto summary = zeroed<flexgemm_tune_summary>();
  require_ok(flexgemm_tune_report_get_summary(report, &summary));
  CHECK(told.calls > 1);
  CHECK(told.measured > 1);
  CHECK(told.had_leader);
  CHECK(summary.candidates > 1);
  CHECK(summary.predicted >= 0);
  CHECK(summary.end == FLEXGEMM_TUNING_COMPLETE);
  CHECK(summary.stored == 1);
  CHECK(summary.seconds > 0);
  REQUIRE(summary.winner == 0);
  auto winner = zeroed<flexgemm_tune_candidate>();
  require_ok(flexgemm_tune_report_get_candidate(report, summary.winner, &winner));
  CHECK(winner.measured_ms > 0);
  CHECK(winner.least_ms <= winner.measured_ms);
  CHECK(winner.samples > 0);
  CHECK(winner.error >= 0);
  CHECK(winner.disqualified == nullptr);
  check_failure(flexgemm_tune_report_get_candidate(report, summary.candidates, &winner),
                FLEXGEMM_INVALID_ARGUMENT, {"position is"});
  const std::string kernel = winner.kernel;
  CHECK(problem.choice() == kernel);

  const Owned<flexgemm_context> other = open_gpu(cache);
  CHECK(OnGpu(other.get(), layer).choice() == kernel);
  auto options = zeroed<flexgemm_cache_options>();
  options.folder = cache.c_str();
  auto change = zeroed<flexgemm_cache_change>();
  require_ok(flexgemm_pack_write(pack.c_str(), &options, nullptr, &change, nullptr, nullptr));
  CHECK(change.kernels > 0);
  CHECK(change.tuning_entries == 1);
  const Owned<flexgemm_context> third = open_gpu({});
  const OnGpu without_cache(third.get(), layer);
  (void)without_cache.choice();  // decided before the pack is there
  require_ok(flexgemm_context_load_kernel_pack(third.get(), pack.c_str()));
  CHECK(without_cache.choice() == kernel);

  auto named = zeroed<flexgemm_kernel_choice>();
  named.algorithm = winner.algorithm;
  named.splits = winner.splits;
  named.groups = winner.groups;
  named.kernel = kernel.c_str();
  const flexgemm_kernel_choice* const choices[] = {&named};
  request.choices = choices;
  request.choice_count = 1;
  flexgemm_tune_report* one = nullptr;
  require_ok(flexgemm_conv3d_tune(problem.conv.get(), problem.map.get(), &request, nullptr, &one));
  require_ok(flexgemm_tune_report_get_summary(one, &summary));
  require_ok(flexgemm_tune_report_get_candidate(one, 0, &winner));
  CHECK(summary.candidates == 1);
  CHECK(winner.kernel == kernel);
  flexgemm_tune_report_destroy(one);
  request.choice_count = 0;

  request.cancelled = [](void*) { return 1; };
  flexgemm_tune_report* cancelled = nullptr;
  require_ok(flexgemm_conv3d_tune(problem.conv.get(), problem.map.get(), &request, nullptr, &cancelled));
  require_ok(flexgemm_tune_report_get_summary(cancelled, &summary));
  flexgemm_tune_report_destroy(cancelled);
  CHECK(summary.end == FLEXGEMM_TUNING_CANCELLED);
  CHECK(summary.winner == -1);
}
