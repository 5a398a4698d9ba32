#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <ranges>

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "frames/pipeline.hpp"

using namespace flexgemm;
using namespace flexgemm::frames_test;

namespace {

/// Voxelizer, map and layers as one graph.
class FrameGraph {
 public:
  explicit FrameGraph(const Pipeline& pipeline) {
    REQUIRE(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking) == cudaSuccess);
    REQUIRE(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal) == cudaSuccess);
    pipeline.run(stream_);
    REQUIRE(cudaStreamEndCapture(stream_, &graph_) == cudaSuccess);
    REQUIRE(cudaGraphInstantiate(&executable_, graph_, 0) == cudaSuccess);
  }
  ~FrameGraph() {
    cudaGraphExecDestroy(executable_);
    cudaGraphDestroy(graph_);
    cudaStreamDestroy(stream_);
  }
  FrameGraph(const FrameGraph&) = delete;
  FrameGraph& operator=(const FrameGraph&) = delete;
  Stream stream() const { return stream_; }
  void launch() const { REQUIRE(cudaGraphLaunch(executable_, stream_) == cudaSuccess); }

 private:
  cudaStream_t stream_ = nullptr;
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t executable_ = nullptr;
};

std::size_t free_memory() {
  std::size_t free = 0;
  std::size_t total = 0;
  REQUIRE(cudaMemGetInfo(&free, &total) == cudaSuccess);
  return free;
}

}  // namespace

TEST_CASE(
    "a graph of voxelizer, map and four layers serves 200 frames of different sizes, bit for bit, without "
    "one "
    "allocation") {
  if (cuda_device_count() == 0) SKIP("no GPU");
  const Context plain = Context::open(Device::cuda(0));
  CountingAllocator allocator(plain);
  const Context context = Context::open(Device::cuda(0), {.allocator = &allocator});
  Pipeline pipeline(context, 60000, 40000);
  const FrameSource source(60000);
  const FrameGraph graph(pipeline);
  std::vector<std::vector<std::uint16_t>> results;
  std::vector<double> times;
  pipeline.upload(source.points(0), graph.stream());
  graph.launch();  // warm-up: the driver's own memory for the graph
  context.synchronize(graph.stream());
  const int calls = allocator.calls;
  const std::size_t free_before = free_memory();
  constexpr int frames = 200;
  std::int64_t smallest = pipeline.capacity;
  std::int64_t largest = 0;
  for (int frame = 0; frame < frames; ++frame) {
    pipeline.upload(source.points(frame), graph.stream());
    const auto start = std::chrono::steady_clock::now();
    graph.launch();
    context.synchronize(graph.stream());
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    const std::int64_t rows = pipeline.voxels();
    smallest = std::min(smallest, rows);
    largest = std::max(largest, rows);
    results.push_back(pipeline.download(4, rows));
  }
  CHECK(allocator.calls == calls);
  CHECK(free_memory() == free_before);
  CHECK(!pipeline.map.status().overflow);
  CHECK(smallest == 0);
  CHECK(largest > 5000);
  int different = 0;
  std::map<std::string, std::int64_t> voxels_of;  // by scan
  for (int frame = 0; frame < frames; ++frame) {
    pipeline.upload(source.points(frame));
    pipeline.run();
    context.synchronize();
    const std::int64_t rows = pipeline.voxels();
    if (results[static_cast<std::size_t>(frame)] != eager_result(pipeline, rows)) ++different;
    voxels_of[source.scan_of(frame)] += rows;
  }
  CHECK(different == 0);
  for (const auto& [scan, voxels] : voxels_of) {
    CAPTURE(scan);
    CHECK(voxels > 100'000);  // of dozens of frames
  }
  std::nth_element(times.begin(), times.begin() + frames / 2, times.end());
  fmt::print(
      "200 frames of {} to {} voxels, cut from {}: median {:.3f} ms a frame by the graph, {} different from "
      "eager\n",
      smallest, largest, fmt::join(std::views::keys(voxels_of), ", "), times[frames / 2], different);
}
