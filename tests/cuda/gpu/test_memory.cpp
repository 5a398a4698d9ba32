#include <atomic>
#include <map>
#include <mutex>
#include <optional>

#include <catch2/catch_test_macros.hpp>

#include <flexgemm/flexgemm.hpp>

#include "support.hpp"

using namespace flexgemm;
using namespace flexgemm::cuda_test;

namespace {

constexpr Box box{.grid = {.batch = 1, .x = 30, .y = 30, .z = 30}, .extent = 30};

/// Checks that every block comes back once, with the size that it was asked for; may run dry.
class CountingAllocator final : public Allocator {
 public:
  void* allocate(std::size_t bytes, Stream stream) noexcept override {
    const std::lock_guard lock(mutex_);
    if (bytes == 0 || blocks_left == 0) return nullptr;
    --blocks_left;
    CUdeviceptr pointer = 0;
    if (detail::driver().cuMemAlloc(&pointer, bytes) != CUDA_SUCCESS) return nullptr;
    (void)stream;
    blocks_[reinterpret_cast<void*>(pointer)] = bytes;
    ++made;
    return reinterpret_cast<void*>(pointer);
  }
  void deallocate(void* pointer, std::size_t bytes, Stream) noexcept override {
    const std::lock_guard lock(mutex_);
    const auto found = blocks_.find(pointer);
    if (found == blocks_.end() || found->second != bytes) {
      ++mistakes;
      return;
    }
    blocks_.erase(found);
    detail::driver().cuMemFree(reinterpret_cast<CUdeviceptr>(pointer));
  }
  std::size_t held() {
    const std::lock_guard lock(mutex_);
    return blocks_.size();
  }
  int made = 0;
  int mistakes = 0;
  int blocks_left = 1'000'000;

 private:
  std::mutex mutex_;
  std::map<void*, std::size_t> blocks_;
};

/// A map, one forward pass by every algorithm, and their memory released.
void use_everything(const std::shared_ptr<detail::CudaBackend>& backend) {
  const std::int64_t rows = 700;
  const OnDevice<std::int32_t> coords(backend, random_coords(box, rows, 31));
  const OnDevice<float> feats(backend, std::vector<float>(700 * 16, 1.0f));
  const OnDevice<float> weight(backend, std::vector<float>(8 * 27 * 16, 0.5f));
  const OnDevice<float> out(backend, std::vector<float>(700 * 8));
  const auto map = build_map(*backend, coords.data(), rows, box.grid, {});
  {
    const detail::ContextScope scope(backend->cuda_device());
    (void)map->resident_layout({.block_rows = 64, .capacity = 100}, {});
  }
  for (const Algorithm algorithm :
       {Algorithm::explicit_gemm, Algorithm::implicit_gemm, Algorithm::implicit_gemm_splitk,
        Algorithm::masked_implicit_gemm, Algorithm::masked_implicit_gemm_splitk}) {
    const Conv3dOptions conv{.in_channels = 16, .out_channels = 8, .algorithm = algorithm};
    backend->forward({.conv = &conv,
                      .map = map.get(),
                      .feats = feats.data(),
                      .weight = weight.data(),
                      .bias = nullptr,
                      .bias_dtype = DType::f32,
                      .out = out.data()},
                     {});
  }
}

}  // namespace

TEST_CASE("all device memory comes from the allocator hook and goes back to it") {
  (void)open_gpu();  // skips without a GPU
  CountingAllocator allocator;
  auto backend = open_gpu(&allocator);
  use_everything(backend);
  CHECK(allocator.made > 10);
  CHECK(allocator.held() == 0);
  CHECK(backend->memory().current_bytes == 0);
  CHECK(backend->memory().peak_bytes > 0);
  backend.reset();
  CHECK(allocator.mistakes == 0);
}

TEST_CASE("memory that runs out at any point is an error that leaks nothing") {
  (void)open_gpu();
  CountingAllocator allocator;
  auto backend = open_gpu(&allocator);
  use_everything(backend);
  const int needed = allocator.made;
  for (int blocks = 0; blocks < needed; ++blocks) {
    allocator.blocks_left = blocks;
    try {
      use_everything(backend);
      FAIL("an exhausted allocator went unnoticed at block " << blocks);
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::out_of_memory);
    }
    CHECK(allocator.held() == 0);
  }
  CHECK(allocator.mistakes == 0);
}

TEST_CASE("a map outlives its context, its coordinates and its stream") {
  auto backend = open_gpu();
  std::shared_ptr<const detail::CudaMap> map;
  {
    const OwnStream stream(*backend);
    const OnDevice<std::int32_t> coords(backend, random_coords(box, 300, 32));
    map = build_map(*backend, coords.data(), 300, box.grid, {.checked = false}, stream);
    backend->synchronize(stream);
  }
  backend.reset();
  CHECK(map->pairs() >= 300);
  map.reset();
}

TEST_CASE("two contexts of one device share maps and keep their memory apart") {
  const auto first = open_gpu();
  const auto second = open_gpu();
  const OnDevice<std::int32_t> coords(first, random_coords(box, 300, 33));
  const auto map = build_map(*first, coords.data(), 300, box.grid, {});
  CHECK(second->memory().current_bytes == 0);
  const std::vector<std::int32_t> indices = to_host(*second, map->indices(), 300 * 27);
  CHECK(indices == to_host(*first, map->indices(), 300 * 27));
}

TEST_CASE("calls leave the caller's current CUDA context as it was") {
  const auto backend = open_gpu();
  const auto current = [] {
    CUcontext context = nullptr;
    detail::driver().cuCtxPopCurrent(&context);
    if (context != nullptr) detail::driver().cuCtxPushCurrent(context);
    return context;
  };
  const CUcontext before = current();
  const OnDevice<std::int32_t> coords(backend, random_coords(box, 300, 34));
  const auto map = build_map(*backend, coords.data(), 300, box.grid, {});
  CHECK(map->pairs() >= 300);
  CHECK(current() == before);
}
