// Versioned structs: callers compiled against a shorter or a longer struct, and layouts that must never
// change.
#include <cstddef>
#include <cstdlib>

#include <flexgemm/flexgemm.hpp>

#include "capi/support.hpp"

using namespace flexgemm;
using namespace flexgemm::capi_test;

namespace {

/// A caller's struct of another version: the first `size` bytes of `value`, or all of it and `fill` after it,
/// in memory that ends there, so that sanitizers see a byte too many.
template <class Struct>
class OtherVersion {
 public:
  OtherVersion(const Struct& value, std::size_t size, unsigned char fill = 0)
      : memory_(static_cast<unsigned char*>(std::malloc(size))) {
    std::memset(memory_, fill, size);
    std::memcpy(memory_, &value, std::min(size, sizeof(Struct)));
    std::memcpy(memory_, &size, sizeof size);
  }
  ~OtherVersion() { std::free(memory_); }
  OtherVersion(const OtherVersion&) = delete;
  OtherVersion& operator=(const OtherVersion&) = delete;
  Struct* get() const { return reinterpret_cast<Struct*>(memory_); }
  unsigned char byte(std::size_t i) const { return memory_[i]; }

 private:
  unsigned char* memory_;
};

flexgemm_status make_conv(const flexgemm_context* context, const flexgemm_conv3d_options* options,
                          Owned<flexgemm_conv3d>& conv) {
  flexgemm_conv3d* made = nullptr;
  const flexgemm_status status = flexgemm_conv3d_create(context, options, &made);
  conv.reset(made);
  return status;
}

std::string choice_of(const flexgemm_conv3d* conv, const flexgemm_map* map) {
  flexgemm_algorithm algorithm = -1;
  char name[8];
  require_ok(flexgemm_conv3d_get_choice(conv, map, FLEXGEMM_FORWARD, &algorithm, name, sizeof name, nullptr));
  return flexgemm_algorithm_name(algorithm);
}

}  // namespace

TEST_CASE("a caller with a shorter struct gets defaults for what it does not have") {
  const Owned<flexgemm_context> context = open_cpu();
  const Layer layer;
  const Owned<flexgemm_map> map = layer.map(context.get());
  flexgemm_conv3d_options options = layer.options;
  options.algorithm = FLEXGEMM_IMPLICIT_GEMM;
  Owned<flexgemm_conv3d> conv;
  // As it is: the pinned algorithm.
  require_ok(make_conv(context.get(), &options, conv));
  CHECK(choice_of(conv.get(), map.get()) == "implicit_gemm");
  require_ok(make_conv(context.get(), &layer.options, conv));
  const std::string automatic = choice_of(conv.get(), map.get());
  REQUIRE(automatic != "implicit_gemm");
  // A version without `algorithm`: what lies behind the caller's struct is not looked at.
  const OtherVersion before_algorithm(options, offsetof(flexgemm_conv3d_options, algorithm));
  require_ok(make_conv(context.get(), before_algorithm.get(), conv));
  CHECK(choice_of(conv.get(), map.get()) == automatic);
  // A version that ends with the channels: 3x3x3 and f32 as well.
  const OtherVersion channels_only(options, offsetof(flexgemm_conv3d_options, kernel));
  require_ok(make_conv(context.get(), channels_only.get(), conv));
  Layer run;
  require_ok(run.forward(conv.get(), map.get()));
  // The size alone: zero channels.
  const OtherVersion size_only(options, sizeof(std::size_t));
  check_failure(make_conv(context.get(), size_only.get(), conv), FLEXGEMM_INVALID_ARGUMENT,
                {"in_channels is 0"});
}

TEST_CASE("a caller with a longer struct may set only what this library knows") {
  const Owned<flexgemm_context> context = open_cpu();
  const Layer layer;
  Owned<flexgemm_conv3d> conv;
  constexpr std::size_t longer = sizeof(flexgemm_conv3d_options) + 24;
  const OtherVersion zeros(layer.options, longer);
  require_ok(make_conv(context.get(), zeros.get(), conv));
  const OtherVersion ones(layer.options, longer, 1);
  check_failure(make_conv(context.get(), ones.get(), conv), FLEXGEMM_INVALID_ARGUMENT,
                {"options sets a field at byte 56", "newer library"});
}

TEST_CASE("every input struct may be cut at any field") {
  const Owned<flexgemm_context> context = open_cpu();
  const Layer layer;
  const OtherVersion short_allocator(zeroed<flexgemm_allocator>(), offsetof(flexgemm_allocator, deallocate));
  auto with_allocator = zeroed<flexgemm_context_options>();
  with_allocator.allocator = short_allocator.get();
  flexgemm_context* opened = nullptr;
  check_failure(flexgemm_context_open(FLEXGEMM_DEVICE_CPU, 0, &with_allocator, &opened),
                FLEXGEMM_INVALID_ARGUMENT, {"allocate is NULL"});
  auto context_options = zeroed<flexgemm_context_options>();
  context_options.threads = 3;
  context_options.tuning_policy = 99;  // behind the end of the shorter ones
  for (const std::size_t size :
       {offsetof(flexgemm_context_options, threads), offsetof(flexgemm_context_options, disable_cache),
        offsetof(flexgemm_context_options, tuning_policy)}) {
    CAPTURE(size);
    const OtherVersion cut(context_options, size);
    const Owned<flexgemm_context> made = open_cpu(cut.get());
    char text[100];
    require_ok(flexgemm_context_get_description(made.get(), text, sizeof text, nullptr));
    if (size > offsetof(flexgemm_context_options, threads)) {
      CHECK(std::string(text).starts_with("cpu, 3 threads"));
    }
  }

  auto submanifold = zeroed<flexgemm_submanifold_options>();
  submanifold.kernel[0] = submanifold.kernel[1] = submanifold.kernel[2] = 1;
  submanifold.dilation[0] = -5;  // behind the end
  const OtherVersion kernel_only(submanifold, offsetof(flexgemm_submanifold_options, dilation));
  flexgemm_map* map = nullptr;
  require_ok(flexgemm_submanifold_map_create(context.get(), &layer.coords_view, &layer.grid,
                                             kernel_only.get(), nullptr, &map));
  const Owned<flexgemm_map> owned(map);
  int64_t pairs = 0;
  require_ok(flexgemm_map_get_pairs(map, &pairs));
  CHECK(pairs == layer.rows);  // a 1x1x1 kernel finds every row itself

  const OtherVersion no_z(layer.grid, offsetof(flexgemm_grid, z));
  check_failure(
      flexgemm_submanifold_map_create(context.get(), &layer.coords_view, no_z.get(), nullptr, nullptr, &map),
      FLEXGEMM_INVALID_ARGUMENT, {"x0;"});
  const OtherVersion no_shape(layer.coords_view, offsetof(flexgemm_tensor, shape));
  check_failure(
      flexgemm_submanifold_map_create(context.get(), no_shape.get(), &layer.grid, nullptr, nullptr, &map),
      FLEXGEMM_INVALID_ARGUMENT, {"coords has the shape [0, 0]"});

  // Gradients without `accumulate`: overwritten.
  Layer run;
  const Owned<flexgemm_map> full_map = run.map(context.get());
  const Owned<flexgemm_conv3d> conv = run.conv(context.get());
  require_ok(run.backward(conv.get(), full_map.get()));
  const std::vector<std::byte> expected = run.results();
  const flexgemm_tensor gy = view_of(run.grad_out), in = view_of(run.feats), gw = view_of(run.grad_weight);
  auto gradients = zeroed<flexgemm_gradients>();
  gradients.weight = &gw;
  gradients.accumulate = 1;
  const OtherVersion overwriting(gradients, offsetof(flexgemm_gradients, accumulate));
  require_ok(
      flexgemm_conv3d_backward(conv.get(), full_map.get(), &gy, &in, nullptr, overwriting.get(), nullptr));
  CHECK(run.results() == expected);
  require_ok(flexgemm_conv3d_backward(conv.get(), full_map.get(), &gy, &in, nullptr, &gradients, nullptr));
  CHECK(run.results() != expected);
}

TEST_CASE("output structs are filled as far as the caller's reaches, and zeroed past the library's") {
  const Owned<flexgemm_context> context = open_cpu();
  flexgemm_buffer* buffer = nullptr;
  require_ok(flexgemm_buffer_create(context.get(), 1000, nullptr, &buffer));
  const Owned<flexgemm_buffer> owned(buffer);
  auto statistics = zeroed<flexgemm_memory_statistics>();
  statistics.peak_bytes = 77;
  const OtherVersion cut(statistics, offsetof(flexgemm_memory_statistics, peak_bytes));
  require_ok(flexgemm_context_get_memory(context.get(), cut.get()));
  CHECK(cut.get()->current_bytes == 1000);
  CHECK(cut.get()->struct_size == offsetof(flexgemm_memory_statistics, peak_bytes));
  const OtherVersion longer(statistics, sizeof statistics + 8, 0xee);
  require_ok(flexgemm_context_get_memory(context.get(), longer.get()));
  CHECK(longer.get()->struct_size == sizeof statistics + 8);
  CHECK(longer.get()->peak_bytes == 1000);
  for (std::size_t i = sizeof statistics; i < sizeof statistics + 8; ++i) CHECK(longer.byte(i) == 0);

  const Layer layer;
  const Owned<flexgemm_map> map = layer.map(context.get());
  auto info = zeroed<flexgemm_map_info>();
  info.kernel[0] = -1;
  const OtherVersion rows_and_volume(info, offsetof(flexgemm_map_info, kernel));
  require_ok(flexgemm_map_get_info(map.get(), rows_and_volume.get()));
  CHECK(rows_and_volume.get()->rows == layer.rows);
  CHECK(rows_and_volume.get()->volume == 27);
  info.struct_size = 0;
  check_failure(flexgemm_map_get_info(map.get(), &info), FLEXGEMM_INVALID_ARGUMENT,
                {"info->struct_size is 0"});
}

TEST_CASE("numbers and layouts of the binary interface are what was published") {
  // Constants: also the order of the C++ enumerations, which the tables in the library tie together.
  CHECK(FLEXGEMM_OK == 0);
  for (int code = 1; code <= 9; ++code) {
    CHECK(std::string(flexgemm_status_name(static_cast<flexgemm_status>(code))) ==
          name(static_cast<ErrorCode>(code - 1)));
  }
  CHECK(std::string(flexgemm_status_name(static_cast<flexgemm_status>(10))) == "unknown");
  const char* const dtypes[] = {"f32", "tf32", "f16", "bf16", "i32", "unknown"};
  for (int i = 0; i < 6; ++i) CHECK(std::string(flexgemm_dtype_name(i)) == dtypes[i]);
  const char* const ops[] = {"forward", "grad_input", "grad_weight", "unknown"};
  for (int i = 0; i < 4; ++i) CHECK(std::string(flexgemm_op_name(i)) == ops[i]);
  const char* const algorithms[] = {"auto",
                                    "explicit_gemm",
                                    "implicit_gemm",
                                    "implicit_gemm_splitk",
                                    "masked_implicit_gemm",
                                    "masked_implicit_gemm_splitk",
                                    "unknown"};
  for (int i = 0; i < 7; ++i) CHECK(std::string(flexgemm_algorithm_name(i)) == algorithms[i]);
  const char* const activations[] = {"none", "relu", "leaky_relu", "silu", "gelu", "unknown"};
  for (int i = 0; i < 6; ++i) CHECK(std::string(flexgemm_activation_name(i)) == activations[i]);
  const char* const policies[] = {"never", "on_miss", "force", "unknown"};
  for (int i = 0; i < 4; ++i) CHECK(std::string(flexgemm_tuning_policy_name(i)) == policies[i]);
  CHECK(std::string(flexgemm_version()) == version());
  CHECK(flexgemm_version_number() == FLEXGEMM_VERSION_NUMBER);
  static_assert(sizeof(flexgemm_status) == 4);
#if defined(__LP64__)
  // Sizes may grow at the end; what is here stays where it is.
  static_assert(sizeof(flexgemm_tensor) == 64 && offsetof(flexgemm_tensor, data) == 8 &&
                offsetof(flexgemm_tensor, dtype) == 16 && offsetof(flexgemm_tensor, rank) == 20 &&
                offsetof(flexgemm_tensor, shape) == 24);
  static_assert(sizeof(flexgemm_allocator) == 32 && offsetof(flexgemm_allocator, allocate) == 8 &&
                offsetof(flexgemm_allocator, deallocate) == 16 &&
                offsetof(flexgemm_allocator, user_data) == 24);
  static_assert(sizeof(flexgemm_context_options) == 80 &&
                offsetof(flexgemm_context_options, allocator) == 8 &&
                offsetof(flexgemm_context_options, cuda_context) == 16 &&
                offsetof(flexgemm_context_options, threads) == 24 &&
                offsetof(flexgemm_context_options, disable_cache) == 28 &&
                offsetof(flexgemm_context_options, cache_folder) == 32 &&
                offsetof(flexgemm_context_options, cache_limit_bytes) == 40 &&
                offsetof(flexgemm_context_options, tuning_policy) == 48 &&
                offsetof(flexgemm_context_options, tuning_jobs) == 52 &&
                offsetof(flexgemm_context_options, tuning_budget_ms) == 56 &&
                offsetof(flexgemm_context_options, kernel_packs) == 64 &&
                offsetof(flexgemm_context_options, kernel_pack_count) == 72);
  static_assert(sizeof(flexgemm_grid) == 24 && offsetof(flexgemm_grid, batch) == 8 &&
                offsetof(flexgemm_grid, x) == 12 && offsetof(flexgemm_grid, z) == 20);
  static_assert(sizeof(flexgemm_submanifold_options) == 40 &&
                offsetof(flexgemm_submanifold_options, kernel) == 8 &&
                offsetof(flexgemm_submanifold_options, dilation) == 20 &&
                offsetof(flexgemm_submanifold_options, unchecked) == 32);
  static_assert(sizeof(flexgemm_map_info) == 48 && offsetof(flexgemm_map_info, rows) == 8 &&
                offsetof(flexgemm_map_info, volume) == 16 && offsetof(flexgemm_map_info, kernel) == 24 &&
                offsetof(flexgemm_map_info, dilation) == 36);
  static_assert(sizeof(flexgemm_conv3d_options) == 56 && offsetof(flexgemm_conv3d_options, epilogue) == 48 &&
                offsetof(flexgemm_conv3d_options, in_channels) == 8 &&
                offsetof(flexgemm_conv3d_options, out_channels) == 16 &&
                offsetof(flexgemm_conv3d_options, kernel) == 24 &&
                offsetof(flexgemm_conv3d_options, dtype) == 36 &&
                offsetof(flexgemm_conv3d_options, algorithm) == 40);
  static_assert(sizeof(flexgemm_gradients) == 48 && offsetof(flexgemm_gradients, input) == 8 &&
                offsetof(flexgemm_gradients, weight) == 16 && offsetof(flexgemm_gradients, bias) == 24 &&
                offsetof(flexgemm_gradients, accumulate) == 32 &&
                offsetof(flexgemm_gradients, transposed_weight) == 40);
  static_assert(sizeof(flexgemm_epilogue) == 32 && offsetof(flexgemm_epilogue, scale_shift) == 8 &&
                offsetof(flexgemm_epilogue, residual) == 12 &&
                offsetof(flexgemm_epilogue, activation) == 16 && offsetof(flexgemm_epilogue, slope) == 20 &&
                offsetof(flexgemm_epilogue, expression) == 24);
  static_assert(sizeof(flexgemm_operands) == 40 && offsetof(flexgemm_operands, bias) == 8 &&
                offsetof(flexgemm_operands, residual) == 16 && offsetof(flexgemm_operands, scale) == 24 &&
                offsetof(flexgemm_operands, shift) == 32);
  static_assert(
      sizeof(flexgemm_plan_options) == 64 && offsetof(flexgemm_plan_options, skip_forward) == 8 &&
      offsetof(flexgemm_plan_options, has_bias) == 12 && offsetof(flexgemm_plan_options, bias_dtype) == 16 &&
      offsetof(flexgemm_plan_options, input_gradient) == 20 &&
      offsetof(flexgemm_plan_options, weight_gradient) == 24 &&
      offsetof(flexgemm_plan_options, bias_gradient) == 28 &&
      offsetof(flexgemm_plan_options, weight_gradient_dtype) == 32 &&
      offsetof(flexgemm_plan_options, bias_gradient_dtype) == 36 &&
      offsetof(flexgemm_plan_options, accumulate) == 40 && offsetof(flexgemm_plan_options, alignment) == 44 &&
      offsetof(flexgemm_plan_options, no_workspace) == 48 &&
      offsetof(flexgemm_plan_options, transposed_weight) == 52 &&
      offsetof(flexgemm_plan_options, like) == 56);
  static_assert(sizeof(flexgemm_frame_map_options) == 48 &&
                offsetof(flexgemm_frame_map_options, kernel) == 8 &&
                offsetof(flexgemm_frame_map_options, dilation) == 20 &&
                offsetof(flexgemm_frame_map_options, duplicates) == 32 &&
                offsetof(flexgemm_frame_map_options, pairs_per_row) == 40);
  static_assert(sizeof(flexgemm_frame_status) == 40 && offsetof(flexgemm_frame_status, rows) == 8 &&
                offsetof(flexgemm_frame_status, pairs) == 16 &&
                offsetof(flexgemm_frame_status, wanted) == 24 &&
                offsetof(flexgemm_frame_status, overflow) == 32);
  static_assert(sizeof(flexgemm_voxelizer_options) == 72 &&
                offsetof(flexgemm_voxelizer_options, max_points) == 8 &&
                offsetof(flexgemm_voxelizer_options, max_voxels) == 16 &&
                offsetof(flexgemm_voxelizer_options, low) == 24 &&
                offsetof(flexgemm_voxelizer_options, voxel_size) == 36 &&
                offsetof(flexgemm_voxelizer_options, extent) == 48 &&
                offsetof(flexgemm_voxelizer_options, columns) == 60 &&
                offsetof(flexgemm_voxelizer_options, dtype) == 64);
  static_assert(sizeof(flexgemm_memory_statistics) == 24 && sizeof(flexgemm_foreign_tensor) == 56 &&
                offsetof(flexgemm_foreign_tensor, strides) == 32 &&
                offsetof(flexgemm_foreign_tensor, type_lanes) == 54);
#endif
}
