#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "cuda/cuda_backend.hpp"
#include "cuda/driver.hpp"
#include "scene/temporary_folder.hpp"

namespace flexgemm::cuda_test {

/// Where the backends of this process's tests keep their kernels: the sections of a test run the same ones.
inline const std::filesystem::path& kernel_folder() {
  static const TemporaryFolder folder;
  return folder.path();
}

/// Opens the first GPU, or skips the test where there is none.
inline std::shared_ptr<detail::CudaBackend> open_gpu(Allocator* allocator = nullptr) {
  if (cuda_device_count() == 0) SKIP("no GPU: " << detail::driver_problem());
  return std::dynamic_pointer_cast<detail::CudaBackend>(
      detail::open_cuda_backend(0, {.allocator = allocator, .cache = {.folder = kernel_folder()}}));
}

/// Host values in device memory.
template <class T>
class OnDevice {
 public:
  OnDevice(std::shared_ptr<detail::CudaBackend> backend, const std::vector<T>& values)
      : backend_(std::move(backend)), bytes_(values.size() * sizeof(T)) {
    if (bytes_ == 0) return;
    data_ = static_cast<T*>(backend_->allocate(bytes_, {}));
    backend_->copy_to_device(data_, values.data(), bytes_, {});
  }
  ~OnDevice() {
    if (data_ != nullptr) backend_->deallocate(data_, bytes_, {});
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  T* data() const { return data_; }

 private:
  std::shared_ptr<detail::CudaBackend> backend_;
  std::size_t bytes_;
  T* data_ = nullptr;
};

template <class T>
std::vector<T> to_host(detail::CudaBackend& backend, const T* data, std::int64_t count) {
  std::vector<T> values(static_cast<std::size_t>(count));
  if (count != 0) backend.copy_to_host(values.data(), data, values.size() * sizeof(T), {});
  return values;
}

/// A stream of its own, independent of the default one.
class OwnStream {
 public:
  explicit OwnStream(detail::CudaBackend& backend) : backend_(backend) {
    const detail::ContextScope scope(backend.cuda_device());
    FLEXGEMM_DRIVER(cuStreamCreate, &handle_, CU_STREAM_NON_BLOCKING);
  }
  ~OwnStream() {
    const detail::ContextScope scope(backend_.cuda_device());
    detail::driver().cuStreamDestroy(handle_);
  }
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;
  operator Stream() const { return handle_; }  // NOLINT(google-explicit-constructor)

 private:
  detail::CudaBackend& backend_;
  CUstream handle_ = nullptr;
};

/// A box of cells inside a grid.
struct Box {
  Grid grid;
  std::int32_t x = 0;  ///< lowest corner
  std::int32_t y = 0;
  std::int32_t z = 0;
  std::int32_t extent = 0;
};

/// `rows` different random coordinates of the box, in random order, batches included.
inline std::vector<std::int32_t> random_coords(const Box& box, std::int64_t rows, unsigned seed) {
  std::mt19937 random(seed);
  const auto below = [&random](std::int32_t bound) {
    return std::uniform_int_distribution<std::int32_t>(0, bound - 1)(random);
  };
  std::set<std::array<std::int32_t, 4>> seen;
  std::vector<std::int32_t> coords;
  while (static_cast<std::int64_t>(seen.size()) < rows) {
    const std::array<std::int32_t, 4> at{below(box.grid.batch),
                                         box.x + below(std::min(box.extent, box.grid.x - box.x)),
                                         box.y + below(std::min(box.extent, box.grid.y - box.y)),
                                         box.z + below(std::min(box.extent, box.grid.z - box.z))};
    if (seen.insert(at).second) coords.insert(coords.end(), at.begin(), at.end());
  }
  return coords;
}

inline std::shared_ptr<const detail::CudaMap> build_map(detail::CudaBackend& backend,
                                                        const std::int32_t* coords, std::int64_t rows,
                                                        const Grid& grid, const SubmanifoldOptions& options,
                                                        Stream stream = {}) {
  return std::static_pointer_cast<const detail::CudaMap>(
      backend.submanifold_map({.coords = coords, .rows = rows, .grid = grid, .options = options}, stream));
}

inline const detail::TileLayout& layout_of(detail::CudaBackend& backend, const detail::CudaMap& map,
                                           const detail::LayoutKey& key, Stream stream = {}) {
  const detail::ContextScope scope(backend.cuda_device());
  return map.layout(key, stream);
}

}  // namespace flexgemm::cuda_test
