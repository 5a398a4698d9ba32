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
