// What the C interface computes: the bits of the C++ API, and the hooks that it is given.
#include <atomic>
#include <cstdlib>
#include <tuple>

#include <flexgemm/flexgemm.hpp>

#include "api/layer.hpp"
#include "capi/support.hpp"

using namespace flexgemm;
using namespace flexgemm::capi_test;

namespace {

/// A caller's allocator that counts, and runs dry after a number of blocks.
struct Counter {
  std::int64_t limit = INT64_MAX;
  std::atomic<std::int64_t> taken{0}, blocks{0}, bytes{0}, faults{0};

  static void* allocate(void* user_data, size_t bytes, void* stream) {
    auto& counter = *static_cast<Counter*>(user_data);
    if (bytes == 0 || stream != nullptr) ++counter.faults;
    if (counter.taken++ >= counter.limit) return nullptr;
    ++counter.blocks;
    counter.bytes += static_cast<std::int64_t>(bytes);
    return std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  }
  static void deallocate(void* user_data, void* pointer, size_t bytes, void*) {
    auto& counter = *static_cast<Counter*>(user_data);
    if (pointer == nullptr) ++counter.faults;
    --counter.blocks;
    counter.bytes -= static_cast<std::int64_t>(bytes);
    std::free(pointer);
  }
  flexgemm_allocator hook() {
    auto allocator = zeroed<flexgemm_allocator>();
    allocator.allocate = allocate;
    allocator.deallocate = deallocate;
    allocator.user_data = this;
    return allocator;
  }
};

/// A map, a buffer and both passes by every algorithm; the first failure ends it.
flexgemm_status use_everything(const flexgemm_context* context) {
  Layer layer(300, DType::f16, 24, 40);
  flexgemm_map* map = nullptr;
  flexgemm_status status =
      flexgemm_submanifold_map_create(context, &layer.coords_view, &layer.grid, nullptr, nullptr, &map);
  const Owned<flexgemm_map> owned_map(map);
  for (flexgemm_algorithm algorithm = 0; algorithm < 6 && status == FLEXGEMM_OK; ++algorithm) {
    flexgemm_conv3d* conv = nullptr;
    layer.options.algorithm = algorithm;
    status = flexgemm_conv3d_create(context, &layer.options, &conv);
    const Owned<flexgemm_conv3d> owned_conv(conv);
    if (status == FLEXGEMM_OK) status = layer.forward(conv, map);
    if (status == FLEXGEMM_OK) status = layer.backward(conv, map);
  }
  flexgemm_buffer* buffer = nullptr;
  if (status == FLEXGEMM_OK) status = flexgemm_buffer_create(context, 1000, nullptr, &buffer);
  flexgemm_buffer_destroy(buffer);
  return status;
}

}  // namespace

TEST_CASE("every type and algorithm gives the bits of the C++ API") {
  const Context cpp = Context::open(Device::cpu());
  const Owned<flexgemm_context> c = open_cpu();
  for (const DType dtype : {DType::f32, DType::tf32, DType::f16, DType::bf16}) {
    for (flexgemm_algorithm algorithm = 0; algorithm < 6; ++algorithm) {
      CAPTURE(name(dtype), algorithm);
      Layer layer(400, dtype, 17, 33);
      layer.options.algorithm = algorithm;
      const Owned<flexgemm_map> map = layer.map(c.get());
      const Owned<flexgemm_conv3d> conv = layer.conv(c.get());
      require_ok(layer.forward(conv.get(), map.get()));
      require_ok(layer.backward(conv.get(), map.get()));

      Layer expected(400, dtype, 17, 33);
      const NeighborMap cpp_map =
          cpp.submanifold_map({expected.cloud.coords.data(), DType::i32, {400, 4}}, expected.cloud.grid);
      const Conv3d cpp_conv = cpp.conv3d({.in_channels = 17,
                                          .out_channels = 33,
                                          .dtype = dtype,
                                          .algorithm = static_cast<Algorithm>(algorithm)});
      const auto view = [](op_test::HostTensor& tensor) { return api_test::Layer::view(tensor); };
      cpp_conv.forward(cpp_map, view(expected.feats), view(expected.weight), view(expected.bias),
                       view(expected.out));
      cpp_conv.backward(cpp_map, view(expected.grad_out), view(expected.feats), view(expected.weight),
                        {.input = view(expected.grad_input),
                         .weight = view(expected.grad_weight),
                         .bias = view(expected.grad_bias)});
      CHECK(layer.results() == expected.results());

      for (const flexgemm_op op : {FLEXGEMM_FORWARD, FLEXGEMM_GRAD_INPUT, FLEXGEMM_GRAD_WEIGHT}) {
        const KernelChoice choice = cpp_conv.choice(cpp_map, static_cast<Op>(op));
        flexgemm_algorithm chosen = -1;
        std::size_t length = 0;
        require_ok(flexgemm_conv3d_get_choice(conv.get(), map.get(), op, &chosen, nullptr, 0, &length));
        std::string kernel(length + 1, '?');
        require_ok(flexgemm_conv3d_get_choice(conv.get(), map.get(), op, nullptr, kernel.data(), length + 1,
                                              nullptr));
        CHECK(kernel.c_str() == choice.kernel);
        CHECK(chosen == static_cast<flexgemm_algorithm>(choice.algorithm));
      }
    }
  }
}

TEST_CASE("fused epilogues give the bits of the C++ API") {
  const Context cpp = Context::open(Device::cpu());
  const Owned<flexgemm_context> c = open_cpu();
  const auto check = [&](const flexgemm_epilogue& epilogue, const Epilogue& expected_epilogue, bool bias,
                         bool residual, bool scale) {
    CAPTURE(name(expected_epilogue.activation), expected_epilogue.formula);
    Layer layer(300, DType::f16, 8, 12);
    layer.options.epilogue = &epilogue;
    const auto f32 = [](std::uint64_t seed) {
      return op_test::HostTensor::random(DType::f32, {12}, 1, seed);
    };
    op_test::HostTensor scales = f32(8), shifts = f32(9);
    const Owned<flexgemm_map> map = layer.map(c.get());
    const Owned<flexgemm_conv3d> conv = layer.conv(c.get());
    const flexgemm_tensor in = view_of(layer.feats), w = view_of(layer.weight), out = view_of(layer.out);
    const flexgemm_tensor b = view_of(layer.bias), r = view_of(layer.grad_out);
    const flexgemm_tensor sc = view_of(scales), sh = view_of(shifts);
    auto operands = zeroed<flexgemm_operands>();
    if (bias) operands.bias = &b;
    if (residual) operands.residual = &r;
    if (scale) operands.scale = &sc;
    if (scale) operands.shift = &sh;
    require_ok(flexgemm_conv3d_forward_fused(conv.get(), map.get(), &in, &w, &out, &operands, nullptr));
    const std::vector<std::byte> eager = layer.out.bytes();

    const auto view = [](op_test::HostTensor& tensor) { return api_test::Layer::view(tensor); };
    op_test::HostTensor expected(DType::f16, {300, 12});
    EpilogueOperands cpp_operands;
    if (bias) cpp_operands.bias = view(layer.bias);
    if (residual) cpp_operands.residual = view(layer.grad_out);
    if (scale) cpp_operands.scale = view(scales);
    if (scale) cpp_operands.shift = view(shifts);
    const NeighborMap cpp_map =
        cpp.submanifold_map({layer.cloud.coords.data(), DType::i32, {300, 4}}, layer.cloud.grid);
    cpp.conv3d({.in_channels = 8, .out_channels = 12, .dtype = DType::f16, .epilogue = expected_epilogue})
        .forward(cpp_map, view(layer.feats), view(layer.weight), view(expected), cpp_operands);
    CHECK(eager == expected.bytes());
  };
  auto epilogue = zeroed<flexgemm_epilogue>();
  check(epilogue, {}, true, false, false);
  for (flexgemm_activation activation = 0; activation < 5; ++activation) {
    epilogue.activation = activation;
    epilogue.scale_shift = 1;
    epilogue.residual = 1;
    check(epilogue,
          {.scale_shift = true, .residual = true, .activation = static_cast<Activation>(activation)}, true,
          true, true);
  }
  epilogue = zeroed<flexgemm_epilogue>();
  epilogue.activation = FLEXGEMM_LEAKY_RELU;
  epilogue.slope = 0.25F;
  check(epilogue, {.activation = Activation::leaky_relu, .slope = 0.25F}, false, false, false);
  epilogue = zeroed<flexgemm_epilogue>();
  epilogue.expression = "silu(acc + bias) * residual";
  check(epilogue, Epilogue::expression("silu(acc + bias) * residual"), true, true, false);
}

TEST_CASE("plans give the bits of eager calls, with their own workspace and the caller's") {
  Owned<flexgemm_context> context = open_cpu();
  for (const DType dtype : {DType::f32, DType::bf16}) {
    Layer layer(500, dtype, 16, 24);
    Owned<flexgemm_map> map = layer.map(context.get());
    Owned<flexgemm_conv3d> conv = layer.conv(context.get());
    require_ok(layer.forward(conv.get(), map.get()));
    require_ok(layer.backward(conv.get(), map.get()));
    const std::vector<std::byte> expected = layer.results();

    auto options = zeroed<flexgemm_plan_options>();
    options.has_bias = 1;
    options.bias_dtype = static_cast<flexgemm_dtype>(dtype);
    options.input_gradient = options.weight_gradient = options.bias_gradient = 1;
    options.alignment = static_cast<int32_t>(size_of(dtype));
    const Owned<flexgemm_plan> plan = layer.plan(conv.get(), map.get(), &options);
    options.no_workspace = 1;
    options.like = plan.get();
    const Owned<flexgemm_plan> bare = layer.plan(conv.get(), map.get(), &options);
    std::size_t bytes = 0;
    require_ok(flexgemm_plan_get_workspace_bytes(bare.get(), &bytes));
    flexgemm_buffer* made = nullptr;
    require_ok(flexgemm_buffer_create(context.get(), bytes, nullptr, &made));
    const Owned<flexgemm_buffer> buffer(made);
    void* workspace = nullptr;
    require_ok(flexgemm_buffer_get_data(made, &workspace));
    char kernel[128], eager_kernel[128];
    require_ok(
        flexgemm_plan_get_choice(plan.get(), FLEXGEMM_FORWARD, nullptr, kernel, sizeof kernel, nullptr));
    require_ok(flexgemm_conv3d_get_choice(conv.get(), map.get(), FLEXGEMM_FORWARD, nullptr, eager_kernel,
                                          sizeof eager_kernel, nullptr));
    CHECK(std::string(kernel) == eager_kernel);
    map.reset();  // the plan keeps what it needs
    conv.reset();

    const flexgemm_tensor in = view_of(layer.feats), w = view_of(layer.weight), b = view_of(layer.bias);
    const flexgemm_tensor gy = view_of(layer.grad_out), out = view_of(layer.out);
    const flexgemm_tensor gx = view_of(layer.grad_input), gw = view_of(layer.grad_weight),
                          gb = view_of(layer.grad_bias);
    auto operands = zeroed<flexgemm_operands>();
    operands.bias = &b;
    auto gradients = zeroed<flexgemm_gradients>();
    gradients.input = &gx;
    gradients.weight = &gw;
    gradients.bias = &gb;
    for (const auto& [which, memory, size] :
         {std::tuple{plan.get(), static_cast<void*>(nullptr), std::size_t{0}},
          {bare.get(), workspace, bytes}}) {
      for (op_test::HostTensor* tensor :
           {&layer.out, &layer.grad_input, &layer.grad_weight, &layer.grad_bias})
        std::memset(tensor->bytes().data(), 0xff, tensor->bytes().size());
      require_ok(flexgemm_plan_forward(which, &in, &w, &out, &operands, memory, size, nullptr));
      require_ok(flexgemm_plan_backward(which, &gy, &in, &w, &gradients, memory, size, nullptr));
      CHECK(layer.results() == expected);
    }
  }
}

TEST_CASE("transposed weights that the caller keeps give the same gradient, eagerly and by a plan") {
  const Owned<flexgemm_context> context = open_cpu();
  Layer layer;
  const Owned<flexgemm_map> map = layer.map(context.get());
  const Owned<flexgemm_conv3d> conv = layer.conv(context.get());
  require_ok(layer.backward(conv.get(), map.get()));
  const std::vector<std::byte> expected = layer.grad_input.bytes();
  const flexgemm_tensor gy = view_of(layer.grad_out), w = view_of(layer.weight),
                        gx = view_of(layer.grad_input);
  op_test::HostTensor transposed(DType::f32,
                                 {layer.options.in_channels, 3, 3, 3, layer.options.out_channels});
  const flexgemm_tensor wt = view_of(transposed);
  require_ok(flexgemm_conv3d_transpose_weight(conv.get(), &w, &wt, nullptr));
  CHECK(transposed.at(0) == layer.weight.at(26 * layer.options.in_channels));  // offsets reversed
  auto gradients = zeroed<flexgemm_gradients>();
  gradients.input = &gx;
  gradients.transposed_weight = &wt;
  auto options = zeroed<flexgemm_plan_options>();
  options.skip_forward = options.input_gradient = options.transposed_weight = 1;
  options.alignment = 4;
  const Owned<flexgemm_plan> plan = layer.plan(conv.get(), map.get(), &options);
  const auto check = [&](flexgemm_status status) {
    require_ok(status);
    CHECK(layer.grad_input.bytes() == expected);
    std::memset(layer.grad_input.bytes().data(), 0xff, expected.size());
  };
  std::memset(layer.grad_input.bytes().data(), 0xff, expected.size());
  check(flexgemm_conv3d_backward(conv.get(), map.get(), &gy, nullptr, &w, &gradients, nullptr));
  check(flexgemm_plan_backward(plan.get(), &gy, nullptr, &w, &gradients, nullptr, 0, nullptr));
  check_failure(flexgemm_conv3d_transpose_weight(nullptr, &w, &wt, nullptr), FLEXGEMM_INVALID_ARGUMENT,
                {"conv is NULL"});
  check_failure(flexgemm_conv3d_transpose_weight(conv.get(), &w, &w, nullptr), FLEXGEMM_INVALID_ARGUMENT,
                {"transposed has the shape"});
}

TEST_CASE("a map tells its shape, pairs and indices as the C++ API does") {
  const Context cpp = Context::open(Device::cpu());
  const Owned<flexgemm_context> c = open_cpu();
  const Layer layer;
  auto options = zeroed<flexgemm_submanifold_options>();
  const std::int32_t kernel[3] = {3, 1, 2};
  const std::int32_t dilation[3] = {2, 1, 3};
  std::memcpy(options.kernel, kernel, sizeof kernel);
  std::memcpy(options.dilation, dilation, sizeof dilation);
  flexgemm_map* made = nullptr;
  require_ok(
      flexgemm_submanifold_map_create(c.get(), &layer.coords_view, &layer.grid, &options, nullptr, &made));
  Owned<flexgemm_map> map(made);
  const NeighborMap expected =
      cpp.submanifold_map({layer.cloud.coords.data(), DType::i32, {layer.rows, 4}}, layer.cloud.grid,
                          {.kernel = {3, 1, 2}, .dilation = {2, 1, 3}});

  require_ok(flexgemm_map_copy(map.get(), &made));
  map.reset(made);  // the copy lives on after the first handle

  auto info = zeroed<flexgemm_map_info>();
  require_ok(flexgemm_map_get_info(map.get(), &info));
  CHECK(info.rows == layer.rows);
  CHECK(info.volume == 6);
  CHECK(std::memcmp(info.kernel, kernel, sizeof kernel) == 0);
  CHECK(std::memcmp(info.dilation, dilation, sizeof dilation) == 0);
  int64_t pairs = 0;
  require_ok(flexgemm_map_get_pairs(map.get(), &pairs));
  CHECK(pairs == expected.pairs());
  auto indices = zeroed<flexgemm_tensor>();
  require_ok(flexgemm_map_get_indices(map.get(), &indices));
  CHECK(indices.dtype == FLEXGEMM_I32);
  REQUIRE(indices.rank == 2);
  CHECK(indices.shape[0] == layer.rows);
  REQUIRE(indices.shape[1] == 6);
  CHECK(std::memcmp(indices.data, expected.indices().data, static_cast<std::size_t>(layer.rows) * 6 * 4) ==
        0);
}

TEST_CASE("no rows are a valid input") {
  const Owned<flexgemm_context> context = open_cpu();
  Layer layer(0);
  const Owned<flexgemm_map> map = layer.map(context.get());
  const Owned<flexgemm_conv3d> conv = layer.conv(context.get());
  require_ok(layer.forward(conv.get(), map.get()));
  require_ok(layer.backward(conv.get(), map.get()));
  int64_t pairs = -1;
  require_ok(flexgemm_map_get_pairs(map.get(), &pairs));
  CHECK(pairs == 0);
}

TEST_CASE("buffers hold what was copied, and texts are cut as snprintf cuts") {
  const Owned<flexgemm_context> context = open_cpu();
  flexgemm_buffer* made = nullptr;
  require_ok(flexgemm_buffer_create(context.get(), 6, nullptr, &made));
  const Owned<flexgemm_buffer> buffer(made);
  void* data = nullptr;
  std::size_t bytes = 0;
  require_ok(flexgemm_buffer_get_data(buffer.get(), &data));
  require_ok(flexgemm_buffer_get_bytes(buffer.get(), &bytes));
  CHECK(bytes == 6);
  CHECK(reinterpret_cast<std::uintptr_t>(data) % 256 == 0);
  require_ok(flexgemm_copy_to_device(context.get(), data, "hello", 6, nullptr));
  char text[6] = {};
  require_ok(flexgemm_copy_to_host(context.get(), text, data, 6, nullptr));
  require_ok(flexgemm_context_synchronize(context.get(), nullptr));
  CHECK(std::string(text) == "hello");

  std::size_t length = 0;
  char cut[4] = {'x', 'x', 'x', 'x'};
  require_ok(flexgemm_context_get_description(context.get(), cut, sizeof cut, &length));
  CHECK(std::string(cut) == "cpu");
  CHECK(length > 10);
  flexgemm_device_kind kind = -1;
  int32_t ordinal = -1;
  require_ok(flexgemm_context_get_device(context.get(), &kind, &ordinal));
  CHECK(kind == FLEXGEMM_DEVICE_CPU);
  CHECK(ordinal == 0);

  require_ok(flexgemm_buffer_create(context.get(), 0, nullptr, &made));
  const Owned<flexgemm_buffer> empty(made);
  require_ok(flexgemm_buffer_get_data(empty.get(), &data));
  CHECK(data == nullptr);
}

TEST_CASE("all memory comes from the caller's functions and goes back to them") {
  Counter counter;
  {
    Owned<flexgemm_context> context;
    Owned<flexgemm_map> map;
    Owned<flexgemm_buffer> buffer;
    {
      const flexgemm_allocator allocator = counter.hook();  // copied by the call
      auto options = zeroed<flexgemm_context_options>();
      options.allocator = &allocator;
      context = open_cpu(&options);
    }
    require_ok(use_everything(context.get()));
    map = Layer().map(context.get());
    flexgemm_buffer* made = nullptr;
    require_ok(flexgemm_buffer_create(context.get(), 5000, nullptr, &made));
    buffer.reset(made);
    auto memory = zeroed<flexgemm_memory_statistics>();
    require_ok(flexgemm_context_get_memory(context.get(), &memory));
    CHECK(static_cast<std::int64_t>(memory.current_bytes) == counter.bytes);
    CHECK(memory.peak_bytes >= memory.current_bytes);
    context.reset();  // what is left keeps the functions in use
    CHECK(counter.blocks > 0);
  }
  CHECK(counter.taken > 10);
  CHECK(counter.blocks == 0);
  CHECK(counter.bytes == 0);
  CHECK(counter.faults == 0);
}

TEST_CASE("functions that run dry give FLEXGEMM_OUT_OF_MEMORY at any point, without a leak") {
  bool finished = false;
  for (std::int64_t limit = 0; !finished; ++limit) {
    CAPTURE(limit);
    Counter counter;
    counter.limit = limit;
    const flexgemm_allocator allocator = counter.hook();
    auto options = zeroed<flexgemm_context_options>();
    options.allocator = &allocator;
    options.threads = 2;
    flexgemm_context* context = nullptr;
    flexgemm_status status = flexgemm_context_open(FLEXGEMM_DEVICE_CPU, 0, &options, &context);
    const Owned<flexgemm_context> owned(context);
    if (status == FLEXGEMM_OK) status = use_everything(context);
    if (status == FLEXGEMM_OK) {
      finished = true;
    } else {
      check_failure(status, FLEXGEMM_OUT_OF_MEMORY, {"could not allocate"});
    }
    CHECK(counter.blocks == 0);
    CHECK(counter.faults == 0);
  }
}

TEST_CASE("an allocator whose blocks are not aligned is told so") {
  auto allocator = zeroed<flexgemm_allocator>();
  allocator.allocate = [](void*, size_t bytes, void*) -> void* {
    return static_cast<char*>(std::malloc(bytes + 1)) + 1;
  };
  allocator.deallocate = [](void*, void* pointer, size_t, void*) {
    std::free(static_cast<char*>(pointer) - 1);
  };
  auto options = zeroed<flexgemm_context_options>();
  options.allocator = &allocator;
  const Owned<flexgemm_context> context = open_cpu(&options);
  flexgemm_buffer* buffer = nullptr;
  check_failure(flexgemm_buffer_create(context.get(), 100, nullptr, &buffer), FLEXGEMM_INVALID_ARGUMENT,
                {"aligned to 256 bytes"});
}

TEST_CASE("handles may be destroyed in any order") {
  Layer layer;
  Owned<flexgemm_context> context = open_cpu();
  Owned<flexgemm_map> map = layer.map(context.get());
  Owned<flexgemm_conv3d> conv = layer.conv(context.get());
  require_ok(layer.forward(conv.get(), map.get()));
  const std::vector<std::byte> expected = layer.results();
  context.reset();
  std::memset(layer.out.bytes().data(), 0xff, layer.out.bytes().size());
  require_ok(layer.forward(conv.get(), map.get()));
  CHECK(layer.results() == expected);
  conv.reset();
  map.reset();
}

TEST_CASE("the log reaches a C callback") {
  struct Lines {
    std::atomic<int> count{0};
    std::string last;
  } lines;
  const auto listen = [](void* user_data, flexgemm_log_level level, const char* line) {
    auto& heard = *static_cast<Lines*>(user_data);
    ++heard.count;
    heard.last = std::to_string(level) + " " + line;
  };
  const Owned<flexgemm_context> context = open_cpu();
  Layer layer;
  const Owned<flexgemm_map> map = layer.map(context.get());
  const Owned<flexgemm_conv3d> conv = layer.conv(context.get());
  require_ok(flexgemm_set_log_callback(listen, &lines, FLEXGEMM_LOG_LAUNCH));
  require_ok(layer.forward(conv.get(), map.get()));
  require_ok(flexgemm_set_log_callback(nullptr, nullptr, 0));
  CHECK(lines.count == 1);
  CHECK(lines.last.starts_with("2 cpu.masked_implicit_gemm"));
  require_ok(layer.forward(conv.get(), map.get()));
  CHECK(lines.count == 1);
}
