// flexgemm-stress: many threads on one context through the C interface, every result compared bit for bit
// with what one thread computed before. Made for the thread sanitizer (preset tsan) on the CPU, and for load
// on a GPU.
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <dlfcn.h>
#include <fmt/format.h>

#include <flexgemm/flexgemm.h>

#include "capi/owned.hpp"
#include "op/tensors.hpp"
#include "op/voxel_cloud.hpp"

namespace {

using namespace flexgemm;
using op_test::HostTensor;

void require(flexgemm_status status) {
  if (status != FLEXGEMM_OK) {
    throw std::runtime_error(
        fmt::format("{}: {}", flexgemm_status_name(status), flexgemm_last_error_message()));
  }
}

void require(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(what);
}

using flexgemm::capi_test::Owned;

/// Device memory and the stream that it is used on.
class Memory {
 public:
  Memory(const flexgemm_context* context, std::size_t bytes, void* stream)
      : context_(context), bytes_(bytes), stream_(stream) {
    flexgemm_buffer* made = nullptr;
    require(flexgemm_buffer_create(context, bytes, stream, &made));
    buffer_.reset(made);
    require(flexgemm_buffer_get_data(made, &data_));
  }
  Memory(const flexgemm_context* context, const HostTensor& source, void* stream)
      : Memory(context, source.bytes().size(), stream) {
    require(flexgemm_copy_to_device(context, data_, source.bytes().data(), bytes_, stream));
  }
  void* data() const { return data_; }
  std::vector<std::byte> download() const {
    std::vector<std::byte> bytes(bytes_);
    require(flexgemm_copy_to_host(context_, bytes.data(), data_, bytes_, stream_));
    return bytes;
  }

 private:
  const flexgemm_context* context_;
  std::size_t bytes_;
  void* stream_;
  Owned<flexgemm_buffer> buffer_;
  void* data_ = nullptr;
};

/// One problem: tensors on the host, and after `expect` the bits of its results.
struct Problem {
  Problem(std::int64_t rows_, DType dtype_, flexgemm_algorithm algorithm_, std::int64_t ci_, std::int64_t co_)
      : rows(rows_),
        dtype(static_cast<flexgemm_dtype>(dtype_)),
        algorithm(algorithm_),
        ci(ci_),
        co(co_),
        cloud(op_test::voxel_cloud(rows, 1, false, 7)),
        feats(HostTensor::random(dtype_, {rows, ci}, 1, 1)),
        weight(HostTensor::random(dtype_, {co, 3, 3, 3, ci}, 0.1, 2)),
        grad_out(HostTensor::random(dtype_, {rows, co}, 1, 4)) {}

  Owned<flexgemm_map> make_map(const flexgemm_context* context, void* stream) const {
    const Memory coords(context, cloud.coords.size() * 4, stream);
    require(flexgemm_copy_to_device(context, coords.data(), cloud.coords.data(), cloud.coords.size() * 4,
                                    stream));
    const flexgemm_tensor view = flexgemm_tensor_2d(coords.data(), FLEXGEMM_I32, rows, 4);
    const flexgemm_grid grid{sizeof(flexgemm_grid), cloud.grid.batch, cloud.grid.x, cloud.grid.y,
                             cloud.grid.z};
    flexgemm_map* map = nullptr;
    require(flexgemm_submanifold_map_create(context, &view, &grid, nullptr, stream, &map));
    return Owned<flexgemm_map>(map);
  }

  Owned<flexgemm_conv3d> make_conv(const flexgemm_context* context) const {
    flexgemm_conv3d_options options{};
    options.struct_size = sizeof options;
    options.in_channels = ci;
    options.out_channels = co;
    options.dtype = dtype;
    options.algorithm = algorithm;
    flexgemm_conv3d* conv = nullptr;
    require(flexgemm_conv3d_create(context, &options, &conv));
    return Owned<flexgemm_conv3d>(conv);
  }

  /// A plan for forward, which gets its workspace with each call; of the kernels of `like` unless that is
  /// NULL.
  static Owned<flexgemm_plan> make_plan(const flexgemm_conv3d* conv, const flexgemm_map* map,
                                        const flexgemm_plan* like, void* stream) {
    flexgemm_plan_options options{};
    options.struct_size = sizeof options;
    options.no_workspace = 1;
    options.like = like;
    flexgemm_plan* plan = nullptr;
    require(flexgemm_plan_create(conv, map, &options, stream, &plan));
    return Owned<flexgemm_plan>(plan);
  }

  /// Output, by the plan unless it is NULL, and where the device has gradients those of input and weight.
  std::vector<std::byte> results(const flexgemm_context* context, const flexgemm_conv3d* conv,
                                 const flexgemm_map* map, const flexgemm_plan* plan, bool gradients,
                                 void* stream) const {
    const Memory in(context, feats, stream), w(context, weight, stream);
    const Memory out(context, grad_out.bytes().size(), stream);
    const flexgemm_tensor feats_view = flexgemm_tensor_2d(in.data(), dtype, rows, ci);
    const flexgemm_tensor weight_view = flexgemm_tensor_5d(w.data(), dtype, co, 3, 3, 3, ci);
    const flexgemm_tensor out_view = flexgemm_tensor_2d(out.data(), dtype, rows, co);
    if (plan != nullptr) {
      std::size_t bytes = 0;
      require(flexgemm_plan_get_workspace_bytes(plan, &bytes));
      const Memory workspace(context, bytes, stream);
      require(flexgemm_plan_forward(plan, &feats_view, &weight_view, &out_view, nullptr, workspace.data(),
                                    bytes, stream));
    } else {
      require(flexgemm_conv3d_forward(conv, map, &feats_view, &weight_view, nullptr, &out_view, stream));
    }
    std::vector<std::byte> all = out.download();
    if (!gradients) return all;
    const Memory gy(context, grad_out, stream);
    const Memory gx(context, feats.bytes().size(), stream);
    const Memory gw(context, static_cast<std::size_t>(weight.elements()) * 4, stream);
    const flexgemm_tensor gy_view = flexgemm_tensor_2d(gy.data(), dtype, rows, co);
    const flexgemm_tensor gx_view = flexgemm_tensor_2d(gx.data(), dtype, rows, ci);
    const flexgemm_tensor gw_view = flexgemm_tensor_5d(gw.data(), FLEXGEMM_F32, co, 3, 3, 3, ci);
    flexgemm_gradients wanted{};
    wanted.struct_size = sizeof wanted;
    wanted.input = &gx_view;
    wanted.weight = &gw_view;
    require(flexgemm_conv3d_backward(conv, map, &gy_view, &feats_view, &weight_view, &wanted, stream));
    for (const Memory* memory : {&gx, &gw}) {
      const std::vector<std::byte> bytes = memory->download();
      all.insert(all.end(), bytes.begin(), bytes.end());
    }
    return all;
  }

  std::int64_t rows;
  flexgemm_dtype dtype;
  flexgemm_algorithm algorithm;
  std::int64_t ci, co;
  op_test::VoxelCloud cloud;
  HostTensor feats, weight, grad_out;
  std::vector<std::byte> expected;
};

/// A stream of its own for a thread, by the driver; the default stream on the CPU. Not destroyed: blocks may
/// be given back on it until the context closes.
void* make_stream(bool cuda) {
  if (!cuda) return nullptr;
  void* library = dlopen("libcuda.so.1", RTLD_NOW);
  require(library != nullptr, "libcuda.so.1 cannot be opened");
  const auto retain = reinterpret_cast<int (*)(void**, int)>(dlsym(library, "cuDevicePrimaryCtxRetain"));
  const auto set_current = reinterpret_cast<int (*)(void*)>(dlsym(library, "cuCtxSetCurrent"));
  const auto create = reinterpret_cast<int (*)(void**, unsigned)>(dlsym(library, "cuStreamCreate"));
  void* context = nullptr;
  void* stream = nullptr;
  require(retain(&context, 0) == 0 && set_current(context) == 0 && create(&stream, 1) == 0,
          "a CUDA stream cannot be made");
  return stream;
}

struct Shared {
  Owned<flexgemm_context> context;
  bool cuda = false;
  bool gradients = false;
  std::vector<Problem> problems;
  std::vector<Owned<flexgemm_map>> maps;    // of each problem
  std::vector<Owned<flexgemm_plan>> plans;  // of these maps
  std::array<std::atomic<flexgemm_map*>, 8> left_maps{};
  std::array<std::atomic<flexgemm_conv3d*>, 8> left_convs{};
  std::atomic<std::int64_t> layers{0}, lines{0};
  std::atomic<bool> stop{false};
};

/// What only a wrong call shows: this thread's own message.
void fail_on_purpose(const Shared& shared, int thread) {
  flexgemm_conv3d_options options{};
  options.struct_size = sizeof options;
  options.in_channels = -1000 - thread;
  options.out_channels = 1;
  flexgemm_conv3d* conv = nullptr;
  require(flexgemm_conv3d_create(shared.context.get(), &options, &conv) == FLEXGEMM_INVALID_ARGUMENT,
          "negative channels were accepted");
  std::this_thread::yield();
  require(std::string(flexgemm_last_error_message()).find(std::to_string(options.in_channels)) !=
              std::string::npos,
          "a thread read another one's message");
}

void ask_everything(const Shared& shared, const flexgemm_conv3d* conv, const flexgemm_map* map) {
  char text[256];
  std::size_t length = 0;
  require(flexgemm_context_get_description(shared.context.get(), text, sizeof text, &length));
  require(flexgemm_conv3d_get_choice(conv, map, FLEXGEMM_FORWARD, nullptr, text, sizeof text, &length));
  flexgemm_memory_statistics memory{sizeof(flexgemm_memory_statistics), 0, 0};
  require(flexgemm_context_get_memory(shared.context.get(), &memory));
  require(memory.current_bytes <= memory.peak_bytes || memory.current_bytes > 0, "no memory is in use");
  std::int64_t pairs = 0;
  require(flexgemm_map_get_pairs(map, &pairs));
  require(pairs > 0, "a map lost its pairs");
}

void work(Shared& shared, int thread) {
  std::mt19937 random(static_cast<unsigned>(thread));
  void* stream = make_stream(shared.cuda);
  while (!shared.stop) {
    const std::size_t which = random() % shared.problems.size();
    const Problem& problem = shared.problems[which];
    Owned<flexgemm_map> own;
    if (random() % 2 == 0) own = problem.make_map(shared.context.get(), stream);
    const flexgemm_map* map = own ? own.get() : shared.maps[which].get();
    Owned<flexgemm_conv3d> conv = problem.make_conv(shared.context.get());
    // A third by the shared plan, some by one of this map, the others without a plan.
    const flexgemm_plan* plan = random() % 3 == 0 ? shared.plans[which].get() : nullptr;
    Owned<flexgemm_plan> own_plan;
    if (own && plan == nullptr && random() % 4 == 0) {
      own_plan = Problem::make_plan(conv.get(), map, shared.plans[which].get(), stream);
      plan = own_plan.get();
    }
    require(problem.results(shared.context.get(), conv.get(), map, plan, shared.gradients, stream) ==
                problem.expected,
            "a result differs from what one thread computed");
    ++shared.layers;
    fail_on_purpose(shared, thread);
    ask_everything(shared, conv.get(), map);
    // Handles are left behind for another thread to destroy.
    const std::size_t slot = random() % shared.left_maps.size();
    if (own) own.reset(shared.left_maps[slot].exchange(own.release()));
    conv.reset(shared.left_convs[slot].exchange(conv.release()));
  }
}

void listen(void* user_data, flexgemm_log_level, const char* line) {
  if (line[0] != '\0') ++static_cast<Shared*>(user_data)->lines;
}

void add_problems(Shared& shared, std::int64_t rows) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (flexgemm_algorithm algorithm = FLEXGEMM_AUTOMATIC; algorithm <= FLEXGEMM_MASKED_IMPLICIT_GEMM_SPLITK;
         ++algorithm) {
      shared.problems.emplace_back(rows + 37 * algorithm, dtype, algorithm, 16, 24);
    }
  }
}

int run(const std::string& device, int threads, double seconds, std::int64_t rows) {
  Shared shared;
  shared.cuda = device != "cpu";
  flexgemm_context* context = nullptr;
  const int ordinal = device.starts_with("cuda:") ? std::stoi(device.substr(5)) : 0;
  flexgemm_context_options options{};
  options.struct_size = sizeof options;
  options.threads = 4;
  options.disable_cache = 1;
  const flexgemm_status status = flexgemm_context_open(
      shared.cuda ? FLEXGEMM_DEVICE_CUDA : FLEXGEMM_DEVICE_CPU, ordinal, &options, &context);
  if (status == FLEXGEMM_NO_DEVICE) {
    fmt::print("skipped: {}\n", flexgemm_last_error_message());
    return 4;
  }
  require(status);
  shared.context.reset(context);
  add_problems(shared, rows);
  for (Problem& problem : shared.problems) {
    shared.maps.push_back(problem.make_map(context, nullptr));
    const Owned<flexgemm_conv3d> conv = problem.make_conv(context);
    flexgemm_algorithm algorithm = 0;
    std::size_t length = 0;
    shared.gradients = flexgemm_conv3d_get_choice(conv.get(), shared.maps.back().get(), FLEXGEMM_GRAD_WEIGHT,
                                                  &algorithm, nullptr, 0, &length) == FLEXGEMM_OK;
    problem.expected =
        problem.results(context, conv.get(), shared.maps.back().get(), nullptr, shared.gradients, nullptr);
    shared.plans.push_back(Problem::make_plan(conv.get(), shared.maps.back().get(), nullptr, nullptr));
  }

  std::atomic<int> failures{0};
  std::vector<std::thread> workers;
  for (int thread = 0; thread < threads; ++thread) {
    workers.emplace_back([&shared, &failures, thread] {
      try {
        work(shared, thread);
      } catch (const std::exception& error) {
        ++failures;
        shared.stop = true;
        fmt::print(stderr, "thread {}: {}\n", thread, error.what());
      }
    });
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!shared.stop && std::chrono::steady_clock::now() < end) {
    require(flexgemm_set_log_callback(listen, &shared, FLEXGEMM_LOG_LAUNCH));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    require(flexgemm_set_log_callback(nullptr, nullptr, 0));
  }
  shared.stop = true;
  for (std::thread& worker : workers) worker.join();
  for (auto& map : shared.left_maps) flexgemm_map_destroy(map.exchange(nullptr));
  for (auto& conv : shared.left_convs) flexgemm_conv3d_destroy(conv.exchange(nullptr));
  shared.plans.clear();
  shared.maps.clear();
  flexgemm_memory_statistics memory{sizeof(flexgemm_memory_statistics), 0, 0};
  require(flexgemm_context_get_memory(context, &memory));
  fmt::print("{}: {} threads, {:.0f} s, {} layers{}, {} log lines, {} bytes left, {} failures\n", device,
             threads, seconds, shared.layers.load(), shared.gradients ? " with gradients" : "",
             shared.lines.load(), memory.current_bytes, failures.load());
  return failures == 0 && memory.current_bytes == 0 && shared.layers >= threads && shared.lines > 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Many threads on one context of FlexGEMM, every result compared bit for bit.\n"
      "Exit codes: 0 all right, 1 a failure, 4 no such device.");
  std::string device = "cpu";
  int threads = 16;
  double seconds = 60;
  std::int64_t rows = 400;
  app.add_option("--device", device, "cpu, cuda or cuda:N")->capture_default_str();
  app.add_option("--threads", threads, "threads that share the context")->capture_default_str();
  app.add_option("--seconds", seconds, "how long they work")->capture_default_str();
  app.add_option("--rows", rows, "voxels of the smallest problem")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return run(device, threads, seconds, rows);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
