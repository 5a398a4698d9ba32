#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <flexgemm/flexgemm.hpp>

#include "op/tensors.hpp"
#include "op/voxel_cloud.hpp"

using namespace flexgemm;
using op_test::DeviceTensor;
using op_test::HostTensor;

namespace {

constexpr std::int64_t rows = 2500;
constexpr std::int64_t channels = 24;
constexpr int thread_count = 16;

/// Seconds that the threads run: 1, or what FLEXGEMM_TEST_SECONDS says, for a run under a sanitizer.
double seconds_to_run() {
  const char* text = std::getenv("FLEXGEMM_TEST_SECONDS");
  return text == nullptr ? 1 : std::atof(text);
}

/// What the threads share.
struct Shared {
  explicit Shared(const Context& context_)
      : context(context_),
        cloud(op_test::voxel_cloud(rows, 1, false, 7)),
        coords(context.allocate(cloud.coords.size() * sizeof(std::int32_t))),
        feats(context, DType::f16, {rows, channels}, false),
        weight(context, DType::f16, {channels, 3, 3, 3, channels}, false),
        grad_out(context, DType::f16, {rows, channels}, false) {
    context.copy_to_device(coords.data(), cloud.coords.data(), coords.bytes());
    feats.upload(HostTensor::random(DType::f16, {rows, channels}, 1, 1));
    weight.upload(HostTensor::random(DType::f16, {channels, 3, 3, 3, channels}, 0.05, 2));
    grad_out.upload(HostTensor::random(DType::f16, {rows, channels}, 1, 3));
    map = new_map();
    conv = context.conv3d({.in_channels = channels, .out_channels = channels, .dtype = DType::f16});
    plan = conv.freeze(map, {.weight_gradient = true, .own_workspace = false});
  }
  NeighborMap new_map() const {
    return context.submanifold_map({coords.data(), DType::i32, {rows, 4}}, cloud.grid);
  }

  Context context;
  op_test::VoxelCloud cloud;
  Buffer coords;
  DeviceTensor feats, weight, grad_out;
  NeighborMap map;
  Conv3d conv;
  Plan plan;
};

/// One thread's own tensors, and its turns.
class Worker {
 public:
  explicit Worker(const Shared& shared)
      : shared_(shared),
        out_(shared.context, DType::f16, {rows, channels}, false),
        gradient_(shared.context, DType::f32, {channels, 3, 3, 3, channels}, false),
        workspace_(shared.context.allocate(shared.plan.workspace_bytes())) {}

  /// All ways of one turn give the same bits: output and weight gradient.
  std::vector<std::byte> run(int turn) {
    out_.poison();
    gradient_.poison();
    const Workspace workspace{workspace_.data(), workspace_.bytes()};
    switch (turn % 4) {
      case 0:
        forward(shared_.conv, shared_.map);
        break;
      case 1:
        forward(shared_.conv, shared_.new_map());
        break;
      case 2:
        planned(shared_.plan, workspace);
        break;
      default: {
        const Plan plan = shared_.conv.freeze(shared_.map, {.weight_gradient = true});
        planned(plan, {});
        shared_.context.synchronize();  // the plan must outlive its work
      }
    }
    shared_.context.synchronize();
    std::vector<std::byte> bytes = out_.download().bytes();
    const std::vector<std::byte> gradient = gradient_.download().bytes();
    bytes.insert(bytes.end(), gradient.begin(), gradient.end());
    return bytes;
  }

 private:
  void forward(const Conv3d& conv, const NeighborMap& map) {
    conv.forward(map, shared_.feats.view(), shared_.weight.view(), {}, out_.view());
    conv.backward(map, shared_.grad_out.view(), shared_.feats.view(), {}, {.weight = gradient_.view()});
    shared_.context.synchronize();  // the map may go
  }
  void planned(const Plan& plan, const Workspace& workspace) {
    plan.forward(shared_.feats.view(), shared_.weight.view(), {}, out_.view(), workspace);
    plan.backward(shared_.grad_out.view(), shared_.feats.view(), {}, {.weight = gradient_.view()}, workspace);
  }

  const Shared& shared_;
  DeviceTensor out_, gradient_;
  Buffer workspace_;
};

}  // namespace

TEST_CASE("16 threads share a context, its maps, convolutions and plans, and all get the same bits") {
  const int device = GENERATE(range(0, 1 + std::min(cuda_device_count(), 1)));
  const Context context = Context::open(device == 0 ? Device::cpu() : Device::cuda(0), {.threads = 4});
  CAPTURE(context.description());
  const Shared shared(context);
  const std::vector<std::byte> expected = Worker(shared).run(0);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds_to_run());
  std::atomic<int> wrong{0};
  std::atomic<int> turns{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < thread_count; ++i) {
    threads.emplace_back([&, i] {
      try {
        Worker worker(shared);
        for (int turn = i; std::chrono::steady_clock::now() < end; ++turn, ++turns) {
          if (worker.run(turn) != expected) ++wrong;
          if (i == 0) set_log_callback([](LogLevel, std::string_view) {}, LogLevel::launch);
          if (i == 1) set_log_callback({});
        }
      } catch (const std::exception&) {
        ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  set_log_callback({});
  CHECK(wrong == 0);
  CHECK(turns >= thread_count);
}
