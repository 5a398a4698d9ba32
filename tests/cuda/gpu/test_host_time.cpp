#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include <catch2/catch_test_macros.hpp>
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <flexgemm/flexgemm.hpp>

#include "cuda/nvrtc.hpp"
#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::cuda_test;

namespace {

double microseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

/// Median, over bursts that the launch queue holds, of the host's time for one call.
template <class Call>
double host_time(const Context& context, Stream stream, const Call& call) {
  constexpr int burst = 64;
  std::vector<double> times;
  for (int round = 0; round < 60; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < burst; ++i) call();
    times.push_back(microseconds_since(start) / burst);
    context.synchronize(stream);
  }
  std::nth_element(times.begin(), times.begin() + 30, times.end());
  return times[30];
}

/// Median time of one of `burst` calls in a row, from the first to the end of the last: what a loop over
/// layers sees.
template <class Call>
double loop_time(const Context& context, Stream stream, int burst, const Call& call) {
  std::vector<double> times;
  for (int round = 0; round < 41; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < burst; ++i) call();
    context.synchronize(stream);
    times.push_back(microseconds_since(start) / burst);
  }
  std::nth_element(times.begin(), times.begin() + 20, times.end());
  return times[20];
}

/// A kernel that does nothing, with a parameter block as large as implicit_gemm's.
class EmptyKernel {
 public:
  explicit EmptyKernel(detail::CudaBackend& backend) : scope_(backend.cuda_device()) {
    const std::string source =
        "struct Block { unsigned long long words[14]; };\n"
        "extern \"C\" __global__ void empty(const __grid_constant__ Block block) {}\n";
    const auto compiled = detail::compile_source(source, "empty", {.major = 9, .minor = 0, .suffix = 'a'});
    REQUIRE(detail::driver().cuModuleLoadDataEx(&module_, compiled.image.data(), 0, nullptr, nullptr) ==
            CUDA_SUCCESS);
    REQUIRE(detail::driver().cuModuleGetFunction(&function_, module_, "empty") == CUDA_SUCCESS);
  }
  ~EmptyKernel() { detail::driver().cuModuleUnload(module_); }
  void launch(Stream stream) {
    void* arguments[] = {block_};
    detail::driver().cuLaunchKernel(function_, 8, 1, 1, 128, 1, 1, 0, stream.handle(), arguments, nullptr);
  }

 private:
  detail::ContextScope scope_;
  CUmodule module_ = nullptr;
  CUfunction function_ = nullptr;
  unsigned long long block_[14] = {};
};

/// sphere:8 of the benchmark's suite: a shell of radius 4.
std::vector<std::int32_t> small_sphere() {
  std::vector<std::int32_t> coords;
  for (int x = 0; x < 8; ++x) {
    for (int y = 0; y < 8; ++y) {
      for (int z = 0; z < 8; ++z) {
        const double r = std::hypot(x - 3.5, y - 3.5, z - 3.5);
        if (r >= 4 - 1.25 && r <= 4) coords.insert(coords.end(), {0, x, y, z});
      }
    }
  }
  return coords;
}

struct SmallLayer {
  explicit SmallLayer(std::int64_t channels_)
      : backend(open_gpu()), context(Context::open(Device::cuda(0))), channels(channels_) {
    const std::vector<std::int32_t> voxels = small_sphere();
    rows = static_cast<std::int64_t>(voxels.size() / 4);
    coords = context.allocate(voxels.size() * 4);
    context.copy_to_device(coords.data(), voxels.data(), coords.bytes());
    feats = context.allocate(static_cast<std::size_t>(rows * channels * 2));
    out = context.allocate(feats.bytes());
    weight = context.allocate(static_cast<std::size_t>(channels * 27 * channels * 2));
    for (const Buffer* each : {&feats, &weight}) cudaMemset(each->data(), 0, each->bytes());
    map = context.submanifold_map({coords.data(), DType::i32, {rows, 4}}, {1, 8, 8, 8});
    conv = context.conv3d({.in_channels = channels, .out_channels = channels, .dtype = DType::f16});
  }
  void eager(Stream stream) const {
    conv.forward(map, {feats.data(), DType::f16, {rows, channels}},
                 {weight.data(), DType::f16, {channels, 3, 3, 3, channels}}, {},
                 {out.data(), DType::f16, {rows, channels}}, stream);
  }
  void planned(const Plan& plan, Stream stream) const {
    plan.forward({feats.data(), DType::f16, {rows, channels}},
                 {weight.data(), DType::f16, {channels, 3, 3, 3, channels}}, {},
                 {out.data(), DType::f16, {rows, channels}}, {}, stream);
  }

  std::shared_ptr<detail::CudaBackend> backend;
  Context context;
  std::int64_t channels;
  std::int64_t rows = 0;
  Buffer coords, feats, weight, out;
  NeighborMap map;
  Conv3d conv;
};

}  // namespace

TEST_CASE("a plan's forward takes the host at most 1.5 times a bare launch for each of its kernels") {
  SmallLayer layer(64);
  OwnStream stream(*layer.backend);
  EmptyKernel empty(*layer.backend);
  const Plan plan = layer.conv.freeze(layer.map);
  const int kernels = plan.choice(Op::forward).splits > 1 ? 2 : 1;
  const auto run_plan = [&] { layer.planned(plan, stream); };
  const auto run_empty = [&] { empty.launch(stream); };
  host_time(layer.context, stream, run_plan);
  const double bare = host_time(layer.context, stream, run_empty);
  const double planned = host_time(layer.context, stream, run_plan);
  const double eager = host_time(layer.context, stream, [&] { layer.eager(stream); });
  fmt::print(
      "host time: bare launch {:.2f} us, plan.forward {:.2f} us for {} kernels, ratio {:.2f}; eager {:.2f} "
      "us\n",
      bare, planned, kernels, planned / kernels / bare, eager);
  CHECK(planned / kernels <= 1.5 * bare);
}

TEST_CASE("sphere:8 at C = 1024 called eagerly takes at most 1.3 times its time in a graph") {
  SmallLayer layer(1024);
  OwnStream stream(*layer.backend);
  const CUstream raw = Stream(stream).handle();
  const Plan plan = layer.conv.freeze(layer.map);
  constexpr int calls = 50;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  REQUIRE(cudaStreamBeginCapture(raw, cudaStreamCaptureModeGlobal) == cudaSuccess);
  for (int i = 0; i < calls; ++i) layer.planned(plan, stream);
  REQUIRE(cudaStreamEndCapture(raw, &graph) == cudaSuccess);
  REQUIRE(cudaGraphInstantiate(&executable, graph, 0) == cudaSuccess);
  const auto run_graph = [&] { cudaGraphLaunch(executable, raw); };
  loop_time(layer.context, stream, 1, run_graph);
  const double in_graph = loop_time(layer.context, stream, 1, run_graph) / calls;
  loop_time(layer.context, stream, calls, [&] { layer.eager(stream); });
  const double eager = loop_time(layer.context, stream, calls, [&] { layer.eager(stream); });
  const double planned = loop_time(layer.context, stream, calls, [&] { layer.planned(plan, stream); });
  fmt::print("sphere:8 C=1024 f16: graph {:.2f} us, eager {:.2f} us ({:.2f}x), plan {:.2f} us; {}\n",
             in_graph, eager, eager / in_graph, planned, plan.choice(Op::forward).kernel);
  CHECK(eager <= 1.3 * in_graph);
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
}
