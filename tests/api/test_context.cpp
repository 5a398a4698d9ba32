#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

#include "api/layer.hpp"

using namespace flexgemm;
using namespace flexgemm::api_test;

namespace {

/// Counts blocks, and runs dry after a number of them.
class CountingAllocator final : public Allocator {
 public:
  explicit CountingAllocator(std::int64_t limit = INT64_MAX) : limit_(limit) {}
  void* allocate(std::size_t bytes, Stream) noexcept override {
    if (bytes == 0) ++faults_;
    if (taken_++ >= limit_) return nullptr;
    ++blocks_;
    bytes_ += static_cast<std::int64_t>(bytes);
    return std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  }
  void deallocate(void* pointer, std::size_t bytes, Stream) noexcept override {
    if (pointer == nullptr) ++faults_;
    --blocks_;
    bytes_ -= static_cast<std::int64_t>(bytes);
    std::free(pointer);
  }
  std::int64_t taken() const { return taken_; }
  std::int64_t blocks() const { return blocks_; }
  std::int64_t bytes() const { return bytes_; }
  std::int64_t faults() const { return faults_; }

 private:
  const std::int64_t limit_;
  std::atomic<std::int64_t> taken_{0}, blocks_{0}, bytes_{0}, faults_{0};
};

/// Everything that takes memory: a map, both passes by every algorithm, a buffer.
void use_everything(const Context& context) {
  Layer layer(500, DType::f16, 24, 40);
  const NeighborMap map = layer.map(context);
  for (const Algorithm algorithm : {Algorithm::automatic, Algorithm::explicit_gemm, Algorithm::implicit_gemm,
                                    Algorithm::implicit_gemm_splitk, Algorithm::masked_implicit_gemm,
                                    Algorithm::masked_implicit_gemm_splitk}) {
    layer.forward(context, map, algorithm);
    layer.backward(context, map, algorithm);
  }
  (void)context.allocate(1000);
}

/// All results of a layer with every algorithm and type, computed by a context with this many threads.
std::vector<std::byte> results_with_threads(int threads) {
  const Context context = Context::open(Device::cpu(), {.threads = threads});
  std::vector<std::byte> all;
  for (const DType dtype : {DType::f32, DType::tf32, DType::f16, DType::bf16}) {
    for (const Algorithm algorithm :
         {Algorithm::automatic, Algorithm::explicit_gemm, Algorithm::implicit_gemm,
          Algorithm::implicit_gemm_splitk, Algorithm::masked_implicit_gemm,
          Algorithm::masked_implicit_gemm_splitk}) {
      Layer layer(3000, dtype, 17, 33);
      const NeighborMap map = layer.map(context);
      layer.forward(context, map, algorithm);
      layer.backward(context, map, algorithm);
      const auto bytes = layer.results();
      all.insert(all.end(), bytes.begin(), bytes.end());
    }
  }
  return all;
}

/// Runs `call` with stdout and stderr redirected into a file; returns what was written.
template <class Call>
std::string captured_output(const Call& call) {
  std::fflush(stdout);
  std::fflush(stderr);
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  const int kept_out = dup(1);
  const int kept_err = dup(2);
  dup2(fileno(file), 1);
  dup2(fileno(file), 2);
  call();
  std::fflush(stdout);
  std::fflush(stderr);
  dup2(kept_out, 1);
  dup2(kept_err, 2);
  close(kept_out);
  close(kept_err);
  std::rewind(file);
  std::string text(10000, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

}  // namespace

TEST_CASE("a CPU context describes itself in one line") {
  const Context context = Context::open(Device::cpu(), {.threads = 3});
  CHECK(context.device() == Device::cpu());
  CHECK(context.description().starts_with("cpu, 3 threads"));
  CHECK(context.description().find('\n') == std::string::npos);
  check_error(ErrorCode::invalid_argument, {"threads", "-1"},
              [] { (void)Context::open(Device::cpu(), {.threads = -1}); });
}

TEST_CASE("a CUDA device that does not exist gives no_device in one clear sentence") {
  const int count = cuda_device_count();
  CHECK(count >= 0);
  for (const int ordinal : {count, 1000000}) {
    check_error(ErrorCode::no_device, {"cuda:" + std::to_string(ordinal)},
                [&] { (void)Context::open(Device::cuda(ordinal)); });
  }
}

TEST_CASE("all memory comes from the allocator hook and goes back to it") {
  CountingAllocator allocator;
  {
    const Context context = Context::open(Device::cpu(), {.allocator = &allocator});
    use_everything(context);
    const MemoryStatistics statistics = context.memory();
    CHECK(static_cast<std::int64_t>(statistics.current_bytes) == allocator.bytes());
    CHECK(statistics.peak_bytes > 2000 * 27 * 4);
    CHECK(statistics.peak_bytes >= statistics.current_bytes);
  }
  CHECK(allocator.taken() > 0);
  CHECK(allocator.blocks() == 0);
  CHECK(allocator.bytes() == 0);
  CHECK(allocator.faults() == 0);
}

TEST_CASE("an allocator that runs dry gives out_of_memory at any point, without a leak") {
  bool finished = false;
  for (std::int64_t limit = 0; !finished; ++limit) {
    CAPTURE(limit);
    CountingAllocator allocator(limit);
    {
      std::optional<Context> context;
      try {
        context = Context::open(Device::cpu(), {.threads = 2, .allocator = &allocator});
        use_everything(*context);
        finished = true;
      } catch (const Error& error) {
        CAPTURE(error.what());
        CHECK(error.code() == ErrorCode::out_of_memory);
      }
      // The context is as good as new: what fits still runs.
      if (context) CHECK(context->allocate(0).data() == nullptr);
    }
    CHECK(allocator.blocks() == 0);
    CHECK(allocator.faults() == 0);
  }
}

TEST_CASE("an allocator whose blocks are not aligned is told so, and gets its block back") {
  class Misaligned final : public Allocator {
   public:
    void* allocate(std::size_t bytes, Stream) noexcept override {
      ++blocks;
      return static_cast<char*>(std::aligned_alloc(256, (bytes + 511) / 256 * 256)) + 16;
    }
    void deallocate(void* pointer, std::size_t, Stream) noexcept override {
      --blocks;
      std::free(static_cast<char*>(pointer) - 16);
    }
    int blocks = 0;
  };
  Misaligned allocator;
  const Context context = Context::open(Device::cpu(), {.threads = 1, .allocator = &allocator});
  check_error(ErrorCode::invalid_argument, {"allocator hook", "aligned to 256"},
              [&] { (void)context.allocate(1000); });
  CHECK(allocator.blocks == 0);
}

TEST_CASE("a copy from or to a null pointer is invalid_argument") {
  const Context context = Context::open(Device::cpu());
  char byte = 0;
  check_error(ErrorCode::invalid_argument, {"copy_to_device", "1 bytes", "source"},
              [&] { context.copy_to_device(&byte, nullptr, 1); });
  check_error(ErrorCode::invalid_argument, {"copy_to_host", "target"},
              [&] { context.copy_to_host(nullptr, &byte, 1); });
  context.copy_to_host(nullptr, nullptr, 0);
}

TEST_CASE("a buffer holds what was copied, moves, and keeps its device open") {
  std::optional<Context> context = Context::open(Device::cpu());
  const std::vector<int> source{1, 2, 3, 4};
  Buffer buffer = context->allocate(16);
  CHECK(buffer.bytes() == 16);
  CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 256 == 0);
  context->copy_to_device(buffer.data(), source.data(), 16);
  std::vector<int> target(4);
  context->copy_to_host(target.data(), buffer.data(), 16);
  context->synchronize();
  CHECK(target == source);
  CHECK(context->memory().current_bytes == 16);

  Buffer moved = std::move(buffer);
  CHECK(buffer.data() == nullptr);  // NOLINT(bugprone-use-after-move)
  CHECK(buffer.bytes() == 0);
  CHECK(moved.bytes() == 16);
  moved = context->allocate(32);
  CHECK(context->memory().current_bytes == 32);
  Buffer& alias = moved;
  moved = std::move(alias);
  CHECK(moved.bytes() == 32);
  CHECK(context->allocate(0).bytes() == 0);
  context.reset();
  std::fill_n(static_cast<char*>(moved.data()), 32, 'x');
}

TEST_CASE("maps, convolutions and buffers outlive the context they came from") {
  Layer expected;
  Layer layer;
  NeighborMap map;
  Conv3d conv;
  Buffer buffer;
  {
    const Context context = Context::open(Device::cpu());
    expected.forward(context, expected.map(context));
    map = layer.map(context);
    conv = context.conv3d(layer.options());
    buffer = context.allocate(100);
  }
  conv.forward(map, Layer::view(layer.feats), Layer::view(layer.weight), Layer::view(layer.bias),
               Layer::view(layer.out));
  CHECK(layer.out.bytes() == expected.out.bytes());
}

TEST_CASE("one context serves eight threads at once with the same bits as alone") {
  const Context context = Context::open(Device::cpu());
  Layer expected(3000, DType::f32, 16, 32);
  const NeighborMap shared = expected.map(context);
  const Conv3d conv = context.conv3d(expected.options());
  expected.forward(context, shared);
  expected.backward(context, shared);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (int repeat = 0; repeat < 4; ++repeat) {
        Layer layer(3000, DType::f32, 16, 32);
        const NeighborMap map = thread % 2 == 0 ? shared : layer.map(context);
        layer.forward(context, map);
        layer.backward(context, map);
        wrong += layer.results() != expected.results();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("the number of threads changes no bit of any result") {
  const std::vector<std::byte> expected = results_with_threads(1);
  for (const int threads : {2, 5}) {
    CAPTURE(threads);
    CHECK(results_with_threads(threads) == expected);
  }
}

TEST_CASE("the library prints nothing, whether calls succeed or fail") {
  const std::string text = captured_output([] {
    const Context context = Context::open(Device::cpu());
    use_everything(context);
    for (const Device device : {Device::cuda(cuda_device_count()), Device::cuda(1000000)}) {
      try {
        (void)Context::open(device);
      } catch (const Error&) {
      }
    }
    try {
      (void)context.submanifold_map({nullptr, DType::i32, {5, 4}}, {});
    } catch (const Error&) {
    }
  });
  CHECK(text.empty());
}
