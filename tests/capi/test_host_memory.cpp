// Host memory that runs out at any allocation, in any thread, is FLEXGEMM_OUT_OF_MEMORY: this program
// replaces operator new, for the library too.
#include <atomic>
#include <cstdlib>
#include <limits>
#include <new>

#include "capi/support.hpp"

namespace {

/// Allocations that still succeed while a test counts them; a large number: all.
std::atomic<std::int64_t> allocations_left{std::numeric_limits<std::int64_t>::max() / 2};

bool may_allocate() noexcept { return allocations_left.fetch_sub(1, std::memory_order_relaxed) > 0; }

void* allocate(std::size_t bytes, std::size_t alignment) noexcept {
  if (!may_allocate() || bytes > PTRDIFF_MAX) return nullptr;
  return std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment);
}

void* allocate_or_throw(std::size_t bytes, std::size_t alignment) {
  if (void* pointer = allocate(bytes, alignment)) return pointer;
  throw std::bad_alloc();
}

constexpr std::size_t usual = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

}  // namespace

void* operator new(std::size_t bytes) { return allocate_or_throw(bytes, usual); }
void* operator new[](std::size_t bytes) { return allocate_or_throw(bytes, usual); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate_or_throw(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes, usual); }
void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* pointer) noexcept { std::free(pointer); }
void operator delete[](void* pointer) noexcept { std::free(pointer); }
void operator delete(void* pointer, std::size_t) noexcept { std::free(pointer); }
void operator delete[](void* pointer, std::size_t) noexcept { std::free(pointer); }
void operator delete(void* pointer, std::align_val_t) noexcept { std::free(pointer); }
void operator delete(void* pointer, std::size_t, std::align_val_t) noexcept { std::free(pointer); }

using namespace flexgemm;
using namespace flexgemm::capi_test;

namespace {

/// A frame map with one build, and a voxelizer.
flexgemm_status use_frames(const flexgemm_context* context, const Layer& layer) {
  flexgemm_frame_map* frames = nullptr;
  flexgemm_voxelizer* voxelizer = nullptr;
  auto options = zeroed<flexgemm_voxelizer_options>();
  options.max_points = options.max_voxels = 100;
  options.extent[0] = options.extent[1] = options.extent[2] = 10;
  const std::int32_t count = 7;
  const flexgemm_tensor count_view = flexgemm_tensor_1d(&count, FLEXGEMM_I32, 1);
  flexgemm_status status =
      flexgemm_frame_map_create(context, layer.rows, &layer.grid, nullptr, nullptr, &frames);
  if (status == FLEXGEMM_OK)
    status = flexgemm_frame_map_build(frames, &layer.coords_view, &count_view, nullptr);
  if (status == FLEXGEMM_OK) status = flexgemm_voxelizer_create(context, &options, nullptr, &voxelizer);
  flexgemm_frame_map_destroy(frames);
  flexgemm_voxelizer_destroy(voxelizer);
  return status;
}

/// Every kind of call, on a problem that was prepared; the first failure ends it.
flexgemm_status use_everything(Layer& layer, const flexgemm_epilogue& epilogue) {
  flexgemm_context* context = nullptr;
  flexgemm_map* map = nullptr;
  flexgemm_conv3d* conv = nullptr;
  flexgemm_conv3d* fused = nullptr;
  flexgemm_plan* plan = nullptr;
  flexgemm_buffer* buffer = nullptr;
  auto options = zeroed<flexgemm_context_options>();
  options.threads = 3;
  auto fused_options = layer.options;
  fused_options.epilogue = &epilogue;
  auto plan_options = zeroed<flexgemm_plan_options>();
  plan_options.has_bias = 1;
  plan_options.bias_dtype = layer.options.dtype;
  char text[100];
  flexgemm_status status = flexgemm_context_open(FLEXGEMM_DEVICE_CPU, 0, &options, &context);
  const auto then = [&status](auto&& call) {
    if (status == FLEXGEMM_OK) status = call();
  };
  then([&] { return flexgemm_context_get_description(context, text, sizeof text, nullptr); });
  then([&] {
    return flexgemm_submanifold_map_create(context, &layer.coords_view, &layer.grid, nullptr, nullptr, &map);
  });
  then([&] { return flexgemm_conv3d_create(context, &layer.options, &conv); });
  then([&] { return flexgemm_conv3d_create(context, &fused_options, &fused); });
  then([&] {
    return flexgemm_conv3d_get_choice(conv, map, FLEXGEMM_FORWARD, nullptr, text, sizeof text, nullptr);
  });
  then([&] { return layer.forward(conv, map); });
  then([&] { return layer.backward(conv, map); });
  then([&] { return layer.forward(fused, map); });
  then([&] { return flexgemm_plan_create(fused, map, &plan_options, nullptr, &plan); });
  then([&] {
    const flexgemm_tensor in = view_of(layer.feats), w = view_of(layer.weight), out = view_of(layer.out);
    const flexgemm_tensor b = view_of(layer.bias);
    auto operands = zeroed<flexgemm_operands>();
    operands.bias = &b;
    return flexgemm_plan_forward(plan, &in, &w, &out, &operands, nullptr, 0, nullptr);
  });
  then([&] { return flexgemm_buffer_create(context, 100, nullptr, &buffer); });
  then([&] { return use_frames(context, layer); });
  flexgemm_buffer_destroy(buffer);
  flexgemm_plan_destroy(plan);
  flexgemm_conv3d_destroy(fused);
  flexgemm_conv3d_destroy(conv);
  flexgemm_map_destroy(map);
  flexgemm_context_destroy(context);
  return status;
}

}  // namespace

TEST_CASE("host memory that runs out at any allocation is FLEXGEMM_OUT_OF_MEMORY, with a message") {
  Layer layer(300, DType::f16, 24, 40);
  auto epilogue = zeroed<flexgemm_epilogue>();
  epilogue.expression = "relu(acc + bias) * 2";
  constexpr std::int64_t all = std::numeric_limits<std::int64_t>::max() / 2;
  std::int64_t failures = 0;
  flexgemm_status status = FLEXGEMM_OUT_OF_MEMORY;
  for (std::int64_t limit = 0; status != FLEXGEMM_OK && limit < 100'000; ++limit) {
    allocations_left = limit;
    status = use_everything(layer, epilogue);
    allocations_left = all;
    if (status == FLEXGEMM_OK) break;
    ++failures;
    CAPTURE(limit, flexgemm_last_error_message());
    REQUIRE(status == FLEXGEMM_OUT_OF_MEMORY);
    REQUIRE(std::string(flexgemm_last_error_message()).find("memory") != std::string::npos);
  }
  CHECK(status == FLEXGEMM_OK);
  CHECK(failures > 50);
}
