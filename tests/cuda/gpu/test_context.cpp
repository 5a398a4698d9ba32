#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <dlfcn.h>

#include <flexgemm/flexgemm.hpp>

#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::cuda_test;

namespace {

/// A CUcontext beside the primary one, as an engine without the CUDA runtime makes it; not current.
class OwnContext {
 public:
  OwnContext() {
    void* library = dlopen("libcuda.so.1", RTLD_NOW);
    REQUIRE(library != nullptr);
    const auto create =
        reinterpret_cast<CUresult (*)(CUcontext*, unsigned, CUdevice)>(dlsym(library, "cuCtxCreate_v2"));
    destroy_ = reinterpret_cast<CUresult (*)(CUcontext)>(dlsym(library, "cuCtxDestroy_v2"));
    REQUIRE(create != nullptr);
    REQUIRE(destroy_ != nullptr);
    REQUIRE(create(&handle_, 0, 0) == CUDA_SUCCESS);
    CUcontext popped = nullptr;
    REQUIRE(detail::driver().cuCtxPopCurrent(&popped) == CUDA_SUCCESS);
    REQUIRE(popped == handle_);
  }
  ~OwnContext() {
    if (handle_ != nullptr) destroy_(handle_);
  }
  OwnContext(const OwnContext&) = delete;
  OwnContext& operator=(const OwnContext&) = delete;
  CUcontext handle() const { return handle_; }
  CUresult destroy() { return destroy_(std::exchange(handle_, nullptr)); }

 private:
  CUcontext handle_ = nullptr;
  CUresult (*destroy_)(CUcontext) = nullptr;
};

constexpr std::int64_t rows = 3000;
constexpr Box box{.grid = {.batch = 1, .x = 40, .y = 40, .z = 40}, .extent = 40};

struct Result {
  std::vector<std::int32_t> indices;
  std::vector<float> out;
};

std::vector<float> random_values(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

/// A map and a layer on a context, on a stream of the context's own and through a Buffer.
Result run_layer(const Context& context) {
  const auto upload = [&context](const auto& host) {
    Buffer buffer = context.allocate(host.size() * sizeof(host[0]));
    context.copy_to_device(buffer.data(), host.data(), buffer.bytes());
    return buffer;
  };
  const Buffer coords = upload(random_coords(box, rows, 41));
  const Buffer feats = upload(random_values(rows * 32, 42));
  const Buffer weight = upload(random_values(48 * 27 * 32, 43));
  const Buffer out = upload(std::vector<float>(rows * 48, NAN));
  const NeighborMap map = context.submanifold_map({coords.data(), DType::i32, {rows, 4}}, box.grid);
  context.conv3d({.in_channels = 32, .out_channels = 48})
      .forward(map, {feats.data(), DType::f32, {rows, 32}}, {weight.data(), DType::f32, {48, 3, 3, 3, 32}},
               {}, {out.data(), DType::f32, {rows, 48}});
  Result result{std::vector<std::int32_t>(rows * 27), std::vector<float>(rows * 48)};
  context.copy_to_host(result.indices.data(), map.indices().data, rows * 27 * 4);
  context.copy_to_host(result.out.data(), out.data(), out.bytes());
  return result;
}

}  // namespace

TEST_CASE("a context of the caller's gives the bits of the primary one and survives the library") {
  (void)open_gpu();  // skips without a GPU
  const Result expected = run_layer(Context::open(Device::cuda(0)));
  OwnContext own;
  {
    const Context context = Context::open(Device::cuda(0), {.cuda_context = own.handle()});
    CHECK(context.description().ends_with("in the caller's CUDA context"));
    const Result result = run_layer(context);
    CHECK(result.indices == expected.indices);
    REQUIRE(result.out.size() == expected.out.size());
    CHECK(std::memcmp(result.out.data(), expected.out.data(), result.out.size() * sizeof(float)) == 0);
    CUcontext current = nullptr;
    if (detail::driver().cuCtxPopCurrent(&current) == CUDA_SUCCESS && current != nullptr) {
      detail::driver().cuCtxPushCurrent(current);
    }
    CHECK(current != own.handle());
  }
  REQUIRE(detail::driver().cuCtxPushCurrent(own.handle()) == CUDA_SUCCESS);
  CHECK(detail::driver().cuCtxSynchronize() == CUDA_SUCCESS);
  CUcontext popped = nullptr;
  detail::driver().cuCtxPopCurrent(&popped);
  CHECK(own.destroy() == CUDA_SUCCESS);
  // And once more, in another one and in the primary.
  const OwnContext other;
  CHECK(run_layer(Context::open(Device::cuda(0), {.cuda_context = other.handle()})).out == expected.out);
  CHECK(run_layer(Context::open(Device::cuda(0))).out == expected.out);
}

TEST_CASE("a map of one CUDA context is refused by a convolution of another") {
  (void)open_gpu();
  const OwnContext own;
  const Context primary = Context::open(Device::cuda(0));
  const Context context = Context::open(Device::cuda(0), {.cuda_context = own.handle()});
  const NeighborMap map = primary.submanifold_map({nullptr, DType::i32, {0, 4}}, box.grid);
  const Conv3d conv = context.conv3d({.in_channels = 4, .out_channels = 4});
  try {
    (void)conv.choice(map, Op::forward);
    FAIL("a map of another CUDA context was accepted");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_argument);
    CHECK(std::string(error.what()).find("different CUDA contexts of cuda:0") != std::string::npos);
  }
}
