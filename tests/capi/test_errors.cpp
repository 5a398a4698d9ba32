#include <functional>
#include <thread>

#include "capi/support.hpp"

using namespace flexgemm;
using namespace flexgemm::capi_test;

namespace {

/// Valid arguments of every call, so that a test can break one of them at a time.
struct Everything {
  Everything() {
    flexgemm_buffer* made = nullptr;
    require_ok(flexgemm_buffer_create(context.get(), 64, nullptr, &made));
    buffer.reset(made);
  }
  Owned<flexgemm_context> context = open_cpu();
  Layer layer;
  Owned<flexgemm_map> map = layer.map(context.get());
  Owned<flexgemm_conv3d> conv = layer.conv(context.get());
  Owned<flexgemm_buffer> buffer;
  flexgemm_tensor feats = view_of(layer.feats), weight = view_of(layer.weight), bias = view_of(layer.bias),
                  out = view_of(layer.out), grad_out = view_of(layer.grad_out),
                  grad_input = view_of(layer.grad_input), grad_weight = view_of(layer.grad_weight);

  flexgemm_status forward() const {
    return flexgemm_conv3d_forward(conv.get(), map.get(), &feats, &weight, &bias, &out, nullptr);
  }
};

}  // namespace

TEST_CASE("every function reports NULL handles and targets by the argument's name") {
  Everything all;
  const flexgemm_context* context = all.context.get();
  flexgemm_context* made_context = nullptr;
  flexgemm_map* made_map = nullptr;
  flexgemm_conv3d* made_conv = nullptr;
  flexgemm_buffer* made_buffer = nullptr;
  auto statistics = zeroed<flexgemm_memory_statistics>();
  auto info = zeroed<flexgemm_map_info>();
  auto gradients = zeroed<flexgemm_gradients>();
  auto foreign = zeroed<flexgemm_foreign_tensor>();
  auto tensor = zeroed<flexgemm_tensor>();
  void* data = nullptr;
  size_t size = 0;
  int64_t number = 0;
  char byte = 0;
  const auto check = [](const char* argument, flexgemm_status status) {
    CAPTURE(argument);
    check_failure(status, FLEXGEMM_INVALID_ARGUMENT, {"the argument " + std::string(argument) + " is NULL"});
  };
  check("count", flexgemm_cuda_device_count(nullptr));
  check("context", flexgemm_context_open(FLEXGEMM_DEVICE_CPU, 0, nullptr, nullptr));
  check("context", flexgemm_context_get_device(nullptr, nullptr, nullptr));
  check("context", flexgemm_context_get_description(nullptr, nullptr, 0, &size));
  check("context", flexgemm_context_get_memory(nullptr, &statistics));
  check("statistics", flexgemm_context_get_memory(context, nullptr));
  check("context", flexgemm_context_synchronize(nullptr, nullptr));
  check("context", flexgemm_buffer_create(nullptr, 1, nullptr, &made_buffer));
  check("buffer", flexgemm_buffer_create(context, 1, nullptr, nullptr));
  check("buffer", flexgemm_buffer_get_data(nullptr, &data));
  check("data", flexgemm_buffer_get_data(all.buffer.get(), nullptr));
  check("buffer", flexgemm_buffer_get_bytes(nullptr, &size));
  check("bytes", flexgemm_buffer_get_bytes(all.buffer.get(), nullptr));
  check("context", flexgemm_copy_to_device(nullptr, &byte, &byte, 1, nullptr));
  check("context", flexgemm_copy_to_host(nullptr, &byte, &byte, 1, nullptr));
  const flexgemm_tensor* coords = &all.layer.coords_view;
  const flexgemm_grid* grid = &all.layer.grid;
  check("context", flexgemm_submanifold_map_create(nullptr, coords, grid, nullptr, nullptr, &made_map));
  check("coords", flexgemm_submanifold_map_create(context, nullptr, grid, nullptr, nullptr, &made_map));
  check("grid", flexgemm_submanifold_map_create(context, coords, nullptr, nullptr, nullptr, &made_map));
  check("map", flexgemm_submanifold_map_create(context, coords, grid, nullptr, nullptr, nullptr));
  check("map", flexgemm_map_copy(nullptr, &made_map));
  check("copy", flexgemm_map_copy(all.map.get(), nullptr));
  check("map", flexgemm_map_get_info(nullptr, &info));
  check("info", flexgemm_map_get_info(all.map.get(), nullptr));
  check("map", flexgemm_map_get_pairs(nullptr, &number));
  check("pairs", flexgemm_map_get_pairs(all.map.get(), nullptr));
  check("map", flexgemm_map_get_indices(nullptr, &tensor));
  check("indices", flexgemm_map_get_indices(all.map.get(), nullptr));
  check("context", flexgemm_conv3d_create(nullptr, &all.layer.options, &made_conv));
  check("options", flexgemm_conv3d_create(context, nullptr, &made_conv));
  check("conv", flexgemm_conv3d_create(context, &all.layer.options, nullptr));
  check("conv",
        flexgemm_conv3d_forward(nullptr, all.map.get(), &all.feats, &all.weight, nullptr, &all.out, nullptr));
  check("map", flexgemm_conv3d_forward(all.conv.get(), nullptr, &all.feats, &all.weight, nullptr, &all.out,
                                       nullptr));
  check("conv", flexgemm_conv3d_backward(nullptr, all.map.get(), &all.grad_out, nullptr, nullptr, &gradients,
                                         nullptr));
  check("map", flexgemm_conv3d_backward(all.conv.get(), nullptr, &all.grad_out, nullptr, nullptr, &gradients,
                                        nullptr));
  check("gradients", flexgemm_conv3d_backward(all.conv.get(), all.map.get(), &all.grad_out, nullptr, nullptr,
                                              nullptr, nullptr));
  check("conv",
        flexgemm_conv3d_get_choice(nullptr, all.map.get(), FLEXGEMM_FORWARD, nullptr, nullptr, 0, &size));
  check("map",
        flexgemm_conv3d_get_choice(all.conv.get(), nullptr, FLEXGEMM_FORWARD, nullptr, nullptr, 0, &size));
  const flexgemm_conv3d* conv = all.conv.get();
  const flexgemm_map* map = all.map.get();
  const flexgemm_tensor *in = &all.feats, *w = &all.weight, *out = &all.out, *gy = &all.grad_out;
  check("conv", flexgemm_conv3d_forward_fused(nullptr, map, in, w, out, nullptr, nullptr));
  check("map", flexgemm_conv3d_forward_fused(conv, nullptr, in, w, out, nullptr, nullptr));
  flexgemm_plan* made_plan = nullptr;
  check("conv", flexgemm_plan_create(nullptr, map, nullptr, nullptr, &made_plan));
  check("map", flexgemm_plan_create(conv, nullptr, nullptr, nullptr, &made_plan));
  check("plan", flexgemm_plan_create(conv, map, nullptr, nullptr, nullptr));
  CHECK(made_plan == nullptr);
  const Owned<flexgemm_plan> plan = all.layer.plan(conv, map, nullptr);
  check("plan", flexgemm_plan_get_workspace_bytes(nullptr, &size));
  check("bytes", flexgemm_plan_get_workspace_bytes(plan.get(), nullptr));
  check("plan", flexgemm_plan_get_choice(nullptr, FLEXGEMM_FORWARD, nullptr, nullptr, 0, &size));
  check("plan", flexgemm_plan_forward(nullptr, in, w, out, nullptr, nullptr, 0, nullptr));
  check("plan", flexgemm_plan_backward(nullptr, gy, in, w, &gradients, nullptr, 0, nullptr));
  check("gradients", flexgemm_plan_backward(plan.get(), gy, in, w, nullptr, nullptr, 0, nullptr));
  flexgemm_plan_destroy(nullptr);
  check("context", flexgemm_tensor_from_foreign(nullptr, &foreign, &tensor));
  check("foreign", flexgemm_tensor_from_foreign(context, nullptr, &tensor));
  check("tensor", flexgemm_tensor_from_foreign(context, &foreign, nullptr));
  CHECK(made_context == nullptr);
  CHECK(made_map == nullptr);
  CHECK(made_conv == nullptr);
  CHECK(made_buffer == nullptr);
  flexgemm_context_destroy(nullptr);
  flexgemm_map_destroy(nullptr);
  flexgemm_conv3d_destroy(nullptr);
  flexgemm_buffer_destroy(nullptr);
}

TEST_CASE("a failed call leaves NULL where a handle was to be written") {
  const Owned<flexgemm_context> context = open_cpu();
  int somewhere = 0;
  auto* const rubbish = reinterpret_cast<flexgemm_context*>(&somewhere);
  flexgemm_context* opened = rubbish;
  CHECK(flexgemm_context_open(7, 0, nullptr, &opened) == FLEXGEMM_INVALID_ARGUMENT);
  CHECK(opened == nullptr);
  auto* conv = reinterpret_cast<flexgemm_conv3d*>(rubbish);
  const auto options = zeroed<flexgemm_conv3d_options>();
  CHECK(flexgemm_conv3d_create(context.get(), &options, &conv) == FLEXGEMM_INVALID_ARGUMENT);
  CHECK(conv == nullptr);
  auto* map = reinterpret_cast<flexgemm_map*>(rubbish);
  CHECK(flexgemm_map_copy(nullptr, &map) == FLEXGEMM_INVALID_ARGUMENT);
  CHECK(map == nullptr);
}

TEST_CASE("numbers that stand for nothing are named with what they should be") {
  const Everything all;
  flexgemm_context* context = nullptr;
  flexgemm_conv3d* conv = nullptr;
  check_failure(flexgemm_context_open(2, 0, nullptr, &context), FLEXGEMM_INVALID_ARGUMENT,
                {"kind is 2", "cpu", "cuda"});
  check_failure(flexgemm_context_open(FLEXGEMM_DEVICE_CPU, 1, nullptr, &context), FLEXGEMM_INVALID_ARGUMENT,
                {"ordinal is 1", "cpu"});
  check_failure(flexgemm_context_open(FLEXGEMM_DEVICE_CUDA, 1000000, nullptr, &context), FLEXGEMM_NO_DEVICE,
                {"cuda:1000000"});
  check_failure(flexgemm_context_open(FLEXGEMM_DEVICE_CUDA, -1, nullptr, &context), FLEXGEMM_NO_DEVICE,
                {"cuda:-1"});
  auto options = all.layer.options;
  options.dtype = 5;
  check_failure(flexgemm_conv3d_create(all.context.get(), &options, &conv), FLEXGEMM_INVALID_ARGUMENT,
                {"options->dtype is 5", "0 to 4"});
  options = all.layer.options;
  options.algorithm = -1;
  check_failure(flexgemm_conv3d_create(all.context.get(), &options, &conv), FLEXGEMM_INVALID_ARGUMENT,
                {"algorithm is -1", "0 to 5"});
  options = all.layer.options;
  options.reserved = 3;
  check_failure(flexgemm_conv3d_create(all.context.get(), &options, &conv), FLEXGEMM_INVALID_ARGUMENT,
                {"options->reserved is 3"});
  size_t length = 0;
  check_failure(flexgemm_conv3d_get_choice(all.conv.get(), all.map.get(), 3, nullptr, nullptr, 0, &length),
                FLEXGEMM_INVALID_ARGUMENT, {"op is 3", "0 to 2"});
  check_failure(flexgemm_set_log_callback([](void*, flexgemm_log_level, const char*) {}, nullptr, 0),
                FLEXGEMM_INVALID_ARGUMENT, {"level is 0"});
}

TEST_CASE("epilogues and their operands are checked") {
  Everything all;
  flexgemm_conv3d* made = nullptr;
  auto epilogue = zeroed<flexgemm_epilogue>();
  auto options = all.layer.options;
  options.epilogue = &epilogue;
  const auto refused = [&](std::initializer_list<std::string> texts) {
    check_failure(flexgemm_conv3d_create(all.context.get(), &options, &made), FLEXGEMM_INVALID_ARGUMENT,
                  texts);
    CHECK(made == nullptr);
  };
  epilogue.activation = 5;
  refused({"activation is 5", "0 to 4"});
  epilogue.activation = FLEXGEMM_RELU;
  epilogue.expression = "acc";
  refused({"expression and fields"});
  epilogue.activation = FLEXGEMM_NO_ACTIVATION;
  epilogue.expression = "acc; exit(1)";
  refused({";"});
  epilogue.expression = nullptr;
  epilogue.struct_size = 0;
  refused({"options->epilogue->struct_size is 0"});

  epilogue = zeroed<flexgemm_epilogue>();
  epilogue.residual = 1;
  require_ok(flexgemm_conv3d_create(all.context.get(), &options, &made));
  const Owned<flexgemm_conv3d> conv(made);
  const auto forward = [&](const flexgemm_operands* operands) {
    return flexgemm_conv3d_forward_fused(conv.get(), all.map.get(), &all.feats, &all.weight, &all.out,
                                         operands, nullptr);
  };
  check_failure(forward(nullptr), FLEXGEMM_INVALID_ARGUMENT, {"residual"});
  auto operands = zeroed<flexgemm_operands>();
  operands.residual = &all.feats;
  check_failure(forward(&operands), FLEXGEMM_INVALID_ARGUMENT, {"residual", "[200, 5]", "[200, 6]"});
  operands.residual = &all.grad_out;
  operands.scale = &all.bias;
  check_failure(forward(&operands), FLEXGEMM_INVALID_ARGUMENT, {"scale"});
  operands.scale = nullptr;
  require_ok(forward(&operands));
  auto gradients = zeroed<flexgemm_gradients>();
  gradients.weight = &all.grad_weight;
  check_failure(flexgemm_conv3d_backward(conv.get(), all.map.get(), &all.grad_out, &all.feats, nullptr,
                                         &gradients, nullptr),
                FLEXGEMM_UNSUPPORTED, {});
}

TEST_CASE("plans refuse contradictory options and tensors that they were not made for") {
  Everything all;
  flexgemm_plan* made = nullptr;
  const auto refused = [&](auto&& change, std::initializer_list<std::string> texts) {
    auto options = zeroed<flexgemm_plan_options>();
    change(options);
    check_failure(flexgemm_plan_create(all.conv.get(), all.map.get(), &options, nullptr, &made),
                  FLEXGEMM_INVALID_ARGUMENT, texts);
    CHECK(made == nullptr);
  };
  refused([](auto& options) { options.skip_forward = 1; }, {"no pass"});
  refused([](auto& options) { options.alignment = 24; }, {"alignment is 24"});
  refused([](auto& options) { options.alignment = -1; }, {"alignment is -1"});
  refused([](auto& options) { options.transposed_weight = 1; }, {"transposed_weight", "input_gradient"});
  refused(
      [](auto& options) {
        options.has_bias = 1;
        options.bias_dtype = 8;
      },
      {"options->bias_dtype is 8"});
  refused([](auto& options) { options.struct_size = 0; }, {"options->struct_size is 0"});

  const Owned<flexgemm_plan> plan = all.layer.plan(all.conv.get(), all.map.get(), nullptr);
  auto operands = zeroed<flexgemm_operands>();
  const auto forward = [&] {
    return flexgemm_plan_forward(plan.get(), &all.feats, &all.weight, &all.out, &operands, nullptr, 0,
                                 nullptr);
  };
  require_ok(forward());
  operands.bias = &all.bias;
  check_failure(forward(), FLEXGEMM_INVALID_ARGUMENT, {"bias"});
  operands.bias = nullptr;
  all.feats.shape[0] = 199;
  check_failure(forward(), FLEXGEMM_INVALID_ARGUMENT, {"feats", "[199, 5]"});
  size_t length = 0;
  check_failure(flexgemm_plan_get_choice(plan.get(), FLEXGEMM_GRAD_INPUT, nullptr, nullptr, 0, &length),
                FLEXGEMM_INVALID_ARGUMENT, {});
  auto gradients = zeroed<flexgemm_gradients>();
  gradients.weight = &all.grad_weight;
  check_failure(
      flexgemm_plan_backward(plan.get(), &all.grad_out, &all.feats, nullptr, &gradients, nullptr, 0, nullptr),
      FLEXGEMM_INVALID_ARGUMENT, {});
}

TEST_CASE("context options out of range are refused") {
  flexgemm_context* context = nullptr;
  const auto refused = [&](auto&& change, std::initializer_list<std::string> texts) {
    auto options = zeroed<flexgemm_context_options>();
    change(options);
    check_failure(flexgemm_context_open(FLEXGEMM_DEVICE_CPU, 0, &options, &context),
                  FLEXGEMM_INVALID_ARGUMENT, texts);
    CHECK(context == nullptr);
  };
  refused([](auto& options) { options.threads = -1; }, {"threads", "-1"});
  refused([](auto& options) { options.tuning_policy = 9; }, {"tuning_policy is 9"});
  refused([](auto& options) { options.tuning_budget_ms = -5; }, {"tuning_budget_ms is -5"});
  refused([](auto& options) { options.kernel_pack_count = 1; }, {"options->kernel_packs is NULL"});
  const char* const packs[] = {nullptr};
  refused(
      [&](auto& options) {
        options.kernel_packs = packs;
        options.kernel_pack_count = 1;
      },
      {"options->kernel_packs[0] is NULL"});
  auto allocator = zeroed<flexgemm_allocator>();
  const auto with_allocator = [&](auto& options) { options.allocator = &allocator; };
  refused(with_allocator, {"options->allocator->allocate is NULL"});
  allocator.allocate = [](void*, size_t, void*) -> void* { return nullptr; };
  refused(with_allocator, {"options->allocator->deallocate is NULL"});
}

TEST_CASE("wrong tensors give the sentences of the C++ API") {
  Everything all;
  const auto refused = [&](auto&& change, std::initializer_list<std::string> texts) {
    Everything broken;
    change(broken);
    check_failure(broken.forward(), FLEXGEMM_INVALID_ARGUMENT, texts);
  };
  refused([](auto& a) { a.feats.shape[1] = 4; }, {"feats has the shape [200, 4]", "[200, 5]"});
  refused([](auto& a) { a.feats.rank = 6; }, {"feats->rank is 6", "between 0 and 5"});
  refused([](auto& a) { a.feats.rank = -1; }, {"feats->rank is -1"});
  refused([](auto& a) { a.feats.shape[0] = -1; }, {"dimension 0", "-1"});
  refused([](auto& a) { a.feats.rank = 0; }, {"feats is absent"});
  refused([](auto& a) { a.weight.dtype = FLEXGEMM_F16; }, {"weight holds f16", "f32"});
  refused([](auto& a) { a.weight.dtype = 77; }, {"weight->dtype is 77"});
  refused([](auto& a) { a.out.data = nullptr; }, {"out has the shape [200, 6]", "null pointer"});
  refused([](auto& a) { a.out.data = a.feats.data; }, {"out overlaps feats"});
  refused([](auto& a) { a.bias.struct_size = 0; }, {"bias->struct_size is 0", "sizeof"});
  refused([](auto& a) { a.bias.struct_size = 1 << 20; }, {"bias->struct_size is 1048576"});
  CHECK(flexgemm_conv3d_forward(all.conv.get(), all.map.get(), nullptr, &all.weight, nullptr, &all.out,
                                nullptr) == FLEXGEMM_INVALID_ARGUMENT);
  check_failure(flexgemm_conv3d_forward(all.conv.get(), all.map.get(), &all.feats, &all.weight, nullptr,
                                        nullptr, nullptr),
                FLEXGEMM_INVALID_ARGUMENT, {"out is absent"});

  auto gradients = zeroed<flexgemm_gradients>();
  gradients.weight = &all.grad_weight;
  check_failure(flexgemm_conv3d_backward(all.conv.get(), all.map.get(), &all.grad_out, nullptr, nullptr,
                                         &gradients, nullptr),
                FLEXGEMM_INVALID_ARGUMENT, {"feats is absent"});
  gradients.reserved = 1;
  check_failure(flexgemm_conv3d_backward(all.conv.get(), all.map.get(), &all.grad_out, &all.feats, nullptr,
                                         &gradients, nullptr),
                FLEXGEMM_INVALID_ARGUMENT, {"gradients->reserved is 1"});
  require_ok(all.forward());
}

TEST_CASE("coordinates, grids and kernels are checked as the options say") {
  const Owned<flexgemm_context> context = open_cpu();
  const std::int32_t twice[8] = {0, 1, 2, 3, 0, 1, 2, 3};
  const std::int32_t outside[4] = {0, 1, 2, 9};
  auto grid = zeroed<flexgemm_grid>();
  grid.batch = 1;
  grid.x = grid.y = grid.z = 8;
  flexgemm_map* map = nullptr;
  const auto create = [&](const flexgemm_tensor& coords, const flexgemm_submanifold_options* options) {
    flexgemm_map_destroy(map);
    return flexgemm_submanifold_map_create(context.get(), &coords, &grid, options, nullptr, &map);
  };
  const flexgemm_tensor duplicated = flexgemm_tensor_2d(twice, FLEXGEMM_I32, 2, 4);
  check_failure(create(duplicated, nullptr), FLEXGEMM_INVALID_COORDINATE, {"1", "2", "3"});
  check_failure(create(flexgemm_tensor_2d(outside, FLEXGEMM_I32, 1, 4), nullptr), FLEXGEMM_INVALID_COORDINATE,
                {"9"});
  auto options = zeroed<flexgemm_submanifold_options>();
  options.unchecked = 1;
  require_ok(create(duplicated, &options));
  options.reserved = 1;
  check_failure(create(duplicated, &options), FLEXGEMM_INVALID_ARGUMENT, {"options->reserved is 1"});
  options.reserved = 0;
  options.kernel[0] = 3;
  check_failure(create(duplicated, &options), FLEXGEMM_INVALID_ARGUMENT, {"3x0x0"});
  check_failure(create(flexgemm_tensor_2d(twice, FLEXGEMM_F32, 2, 4), nullptr), FLEXGEMM_INVALID_ARGUMENT,
                {"coords holds f32"});
  grid.y = 0;
  check_failure(create(duplicated, nullptr), FLEXGEMM_INVALID_ARGUMENT, {"8x0x8"});
}

TEST_CASE("copies and texts check their pointers") {
  const Everything all;
  char byte = 0;
  check_failure(flexgemm_copy_to_device(all.context.get(), nullptr, &byte, 1, nullptr),
                FLEXGEMM_INVALID_ARGUMENT, {"copy_to_device", "target"});
  check_failure(flexgemm_copy_to_host(all.context.get(), &byte, nullptr, 1, nullptr),
                FLEXGEMM_INVALID_ARGUMENT, {"copy_to_host", "source"});
  require_ok(flexgemm_copy_to_host(all.context.get(), nullptr, nullptr, 0, nullptr));
  check_failure(flexgemm_context_get_description(all.context.get(), nullptr, 5, nullptr),
                FLEXGEMM_INVALID_ARGUMENT, {"buffer is NULL", "capacity is 5"});
  check_failure(flexgemm_context_get_description(all.context.get(), nullptr, 0, nullptr),
                FLEXGEMM_INVALID_ARGUMENT, {"length is NULL"});
}

TEST_CASE("more host memory than can exist is FLEXGEMM_OUT_OF_MEMORY") {
  const Owned<flexgemm_context> context = open_cpu();
  flexgemm_buffer* buffer = nullptr;
  check_failure(flexgemm_buffer_create(context.get(), SIZE_MAX / 2, nullptr, &buffer), FLEXGEMM_OUT_OF_MEMORY,
                {std::to_string(SIZE_MAX / 2)});
  CHECK(buffer == nullptr);
  check_failure(flexgemm_buffer_create(context.get(), SIZE_MAX, nullptr, &buffer), FLEXGEMM_OUT_OF_MEMORY,
                {});
}

TEST_CASE("each thread has its own last message, which a success leaves alone") {
  flexgemm_context* context = nullptr;
  CHECK(flexgemm_context_open(33, 0, nullptr, &context) == FLEXGEMM_INVALID_ARGUMENT);
  const std::string mine = flexgemm_last_error_message();
  std::thread([&] {
    CHECK(std::string(flexgemm_last_error_message()).empty());
    CHECK(flexgemm_context_open(44, 0, nullptr, &context) == FLEXGEMM_INVALID_ARGUMENT);
    CHECK(std::string(flexgemm_last_error_message()).find("44") != std::string::npos);
  }).join();
  CHECK(flexgemm_last_error_message() == mine);
  int32_t count = 0;
  require_ok(flexgemm_cuda_device_count(&count));
  CHECK(count >= 0);
  CHECK(flexgemm_last_error_message() == mine);
  CHECK(flexgemm_set_last_error(FLEXGEMM_IO, "a helper's own words") == FLEXGEMM_IO);
  CHECK(std::string(flexgemm_last_error_message()) == "a helper's own words");
  CHECK(flexgemm_set_last_error(FLEXGEMM_IO, nullptr) == FLEXGEMM_IO);
  CHECK(std::string(flexgemm_last_error_message()).empty());
}
