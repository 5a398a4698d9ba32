#include <atomic>
#include <cmath>
#include <cstring>
#include <thread>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cuda_runtime_api.h>

#include <flexgemm/flexgemm.hpp>

#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::cuda_test;

namespace {

constexpr Box box{.grid = {.batch = 1, .x = 40, .y = 40, .z = 40}, .extent = 40};
constexpr std::int64_t rows = 9000;
constexpr std::int64_t channels = 64;

/// A context whose allocations are counted.
class CountingAllocator final : public Allocator {
 public:
  void* allocate(std::size_t bytes, Stream) noexcept override {
    ++calls;
    CUdeviceptr pointer = 0;
    return detail::driver().cuMemAlloc(&pointer, bytes) == CUDA_SUCCESS ? reinterpret_cast<void*>(pointer)
                                                                        : nullptr;
  }
  void deallocate(void* pointer, std::size_t, Stream) noexcept override {
    ++calls;
    detail::driver().cuMemFree(reinterpret_cast<CUdeviceptr>(pointer));
  }
  std::atomic<int> calls{0};
};

std::vector<float> random_floats(std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = normal(random);
  return values;
}

/// A layer of tf32 on the GPU with an epilogue that reads everything.
struct GpuLayer {
  explicit GpuLayer(Algorithm algorithm, Allocator* allocator = nullptr)
      : backend(open_gpu(allocator)),
        context(Context::open(Device::cuda(0), {.allocator = allocator})),
        coords(backend, random_coords(box, rows, 5)),
        feats_(backend, random_floats(rows * channels, 1)),
        weight_(backend, random_floats(channels * 27 * channels, 2)),
        bias_(backend, random_floats(channels, 3)),
        residual_(backend, random_floats(rows * channels, 4)),
        scale_(backend, random_floats(channels, 5)),
        out_(backend, std::vector<float>(rows * channels, NAN)),
        map(context.submanifold_map({coords.data(), DType::i32, {rows, 4}}, box.grid)),
        conv(context.conv3d(
            {.in_channels = channels,
             .out_channels = channels,
             .dtype = DType::tf32,
             .algorithm = algorithm,
             .epilogue = {.scale_shift = true, .residual = true, .activation = Activation::silu}})) {}

  ConstTensorView feats() const { return {feats_.data(), DType::f32, {rows, channels}}; }
  ConstTensorView weight() const { return {weight_.data(), DType::f32, {channels, 3, 3, 3, channels}}; }
  TensorView out() const { return {out_.data(), DType::f32, {rows, channels}}; }
  EpilogueOperands operands() const {
    return {.bias = {bias_.data(), DType::f32, {channels}},
            .residual = {residual_.data(), DType::f32, {rows, channels}},
            .scale = {scale_.data(), DType::f32, {channels}},
            .shift = {bias_.data(), DType::f32, {channels}}};
  }
  std::vector<float> result() {
    backend->synchronize({});
    std::vector<float> values = to_host(*backend, out_.data(), rows * channels);
    const std::vector<float> poison(values.size(), NAN);
    backend->copy_to_device(out_.data(), poison.data(), poison.size() * sizeof(float), {});
    return values;
  }

  std::shared_ptr<detail::CudaBackend> backend;
  Context context;
  OnDevice<std::int32_t> coords;
  OnDevice<float> feats_, weight_, bias_, residual_, scale_, out_;
  NeighborMap map;
  Conv3d conv;
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("a plan gives the eager call's bits by every algorithm, and makes no allocation after freeze") {
  const Algorithm algorithm =
      GENERATE(Algorithm::automatic, Algorithm::explicit_gemm, Algorithm::implicit_gemm,
               Algorithm::implicit_gemm_splitk, Algorithm::masked_implicit_gemm,
               Algorithm::masked_implicit_gemm_splitk);
  CAPTURE(name(algorithm));
  CountingAllocator allocator;
  GpuLayer layer(algorithm, &allocator);
  layer.conv.forward(layer.map, layer.feats(), layer.weight(), layer.out(), layer.operands());
  const std::vector<float> eager = layer.result();
  const Plan plan = layer.conv.freeze(layer.map, {.bias = DType::f32});
  CHECK(plan.choice(Op::forward).algorithm == layer.conv.choice(layer.map, Op::forward).algorithm);
  const int calls = allocator.calls;
  OwnStream stream(*layer.backend);
  for (int i = 0; i < 3; ++i) {
    plan.forward(layer.feats(), layer.weight(), layer.out(), layer.operands(), {}, stream);
    layer.context.synchronize(stream);
    CHECK(allocator.calls == calls);
    CHECK(same_bits(layer.result(), eager));
  }
}

TEST_CASE("a plan is captured in a graph, and the graph gives its bits") {
  GpuLayer layer(Algorithm::masked_implicit_gemm_splitk);
  const Plan plan = layer.conv.freeze(layer.map, {.bias = DType::f32});
  plan.forward(layer.feats(), layer.weight(), layer.out(), layer.operands());
  const std::vector<float> direct = layer.result();
  OwnStream stream(*layer.backend);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  const CUstream raw = Stream(stream).handle();
  REQUIRE(cudaStreamBeginCapture(raw, cudaStreamCaptureModeGlobal) == cudaSuccess);
  plan.forward(layer.feats(), layer.weight(), layer.out(), layer.operands(), {}, stream);
  REQUIRE(cudaStreamEndCapture(raw, &graph) == cudaSuccess);
  REQUIRE(cudaGraphInstantiate(&executable, graph, 0) == cudaSuccess);
  std::size_t nodes = 0;
  REQUIRE(cudaGraphGetNodes(graph, nullptr, &nodes) == cudaSuccess);
  CHECK(nodes == 2);  // the product and the sum of its parts
  for (int i = 0; i < 3; ++i) {
    REQUIRE(cudaGraphLaunch(executable, raw) == cudaSuccess);
    layer.context.synchronize(stream);
    CHECK(same_bits(layer.result(), direct));
  }
  CHECK(cudaGraphExecDestroy(executable) == cudaSuccess);
  CHECK(cudaGraphDestroy(graph) == cudaSuccess);
}

TEST_CASE("threads run a plan on streams of their own with workspaces of their own") {
  GpuLayer layer(Algorithm::masked_implicit_gemm_splitk);
  const Plan plan = layer.conv.freeze(layer.map, {.bias = DType::f32, .own_workspace = false});
  const std::size_t bytes = plan.workspace_bytes();
  REQUIRE(bytes > 0);
  CHECK_THROWS_AS(plan.forward(layer.feats(), layer.weight(), layer.out(), layer.operands()), Error);
  const Buffer shared = layer.context.allocate(bytes);
  plan.forward(layer.feats(), layer.weight(), layer.out(), layer.operands(), {shared.data(), bytes});
  const std::vector<float> expected = layer.result();
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      OwnStream stream(*layer.backend);
      const Buffer workspace = layer.context.allocate(bytes, stream);
      const Buffer out = layer.context.allocate(rows * channels * sizeof(float), stream);
      std::vector<float> values(rows * channels);
      for (int i = 0; i < 10; ++i) {
        plan.forward(layer.feats(), layer.weight(), {out.data(), DType::f32, {rows, channels}},
                     layer.operands(), {workspace.data(), bytes}, stream);
        layer.context.copy_to_host(values.data(), out.data(), out.bytes(), stream);
        if (!same_bits(values, expected)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("a plan on the GPU outlives the map, the convolution and the context's handle") {
  Plan plan;
  std::vector<float> expected;
  GpuLayer layer(Algorithm::masked_implicit_gemm);
  layer.conv.forward(layer.map, layer.feats(), layer.weight(), layer.out(), layer.operands());
  expected = layer.result();
  plan = layer.conv.freeze(layer.map, {.bias = DType::f32});
  layer.map = {};
  layer.conv = {};
  plan.forward(layer.feats(), layer.weight(), layer.out(), layer.operands());
  CHECK(same_bits(layer.result(), expected));
}

TEST_CASE("a plan frozen like another runs its kernel on another map") {
  GpuLayer layer(Algorithm::automatic);
  const Plan plan = layer.conv.freeze(layer.map, {.bias = DType::f32});
  const std::int64_t few = 600;
  const OnDevice<std::int32_t> coords(layer.backend, random_coords(box, few, 6));
  const NeighborMap small = layer.context.submanifold_map({coords.data(), DType::i32, {few, 4}}, box.grid);
  const Plan like = layer.conv.freeze(small, {.bias = DType::f32, .like = &plan});
  CHECK(like.choice(Op::forward).kernel == plan.choice(Op::forward).kernel);
  CHECK(like.rows() == few);
}

TEST_CASE("a plan's backward gives the eager call's bits, with no allocation after freeze") {
  const Algorithm algorithm =
      GENERATE(Algorithm::automatic, Algorithm::explicit_gemm, Algorithm::masked_implicit_gemm,
               Algorithm::masked_implicit_gemm_splitk);
  CAPTURE(name(algorithm));
  CountingAllocator allocator;
  GpuLayer layer(algorithm, &allocator);
  const Conv3d conv = layer.context.conv3d(
      {.in_channels = channels, .out_channels = channels, .dtype = DType::tf32, .algorithm = algorithm});
  const std::int64_t weights = channels * 27 * channels;
  const std::int64_t total = rows * channels + weights + channels;
  const OnDevice<float> results(layer.backend, std::vector<float>(static_cast<std::size_t>(total), NAN));
  float* data = results.data();
  const Gradients gradients{.input = {data, DType::f32, {rows, channels}},
                            .weight = {data + rows * channels, DType::f32, {channels, 3, 3, 3, channels}},
                            .bias = {data + rows * channels + weights, DType::f32, {channels}}};
  const ConstTensorView grad_out = layer.operands().residual;
  conv.backward(layer.map, grad_out, layer.feats(), layer.weight(), gradients);
  layer.backend->synchronize({});
  const std::vector<float> eager = to_host(*layer.backend, data, total);
  const Plan plan = conv.freeze(
      layer.map, {.forward = false, .input_gradient = true, .weight_gradient = true, .bias_gradient = true});
  const std::vector<float> poison(eager.size(), NAN);
  layer.backend->copy_to_device(data, poison.data(), poison.size() * sizeof(float), {});
  const int calls = allocator.calls;
  plan.backward(grad_out, layer.feats(), layer.weight(), gradients);
  layer.backend->synchronize({});
  CHECK(allocator.calls == calls);
  CHECK(same_bits(to_host(*layer.backend, data, total), eager));
}
